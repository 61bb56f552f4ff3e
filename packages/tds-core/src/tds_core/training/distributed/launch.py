"""Which process of a run this is, as torchrun says in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from tds_core.errors import ConfigError

_NEEDED: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The place of a process among those of a run.

    Attributes:
        rank: Number of the process, from 0.
        size: How many there are on all machines together.
        local_rank: Number of the process on its machine, from 0.
        local_size: How many there are on its machine.

    Raises:
        ConfigError: If the numbers do not fit together.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.size and 0 <= self.local_rank < self.local_size <= self.size):
            message = (
                f"process {self.rank} of {self.size}, number {self.local_rank} of {self.local_size} on its machine, "
                "cannot be; let torchrun set RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE"
            )
            raise ConfigError(message)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the place that torchrun gave this process; a process alone where it gave none.

        Args:
            environment: Variables of the environment.

        Raises:
            ConfigError: If some of torchrun's variables are set and others are missing, or one is no number.
        """
        given = [name for name in _NEEDED if environment.get(name)]
        if not given:
            return cls()
        if missing := [name for name in _NEEDED if name not in given]:
            message = (
                f"the environment has {', '.join(given)}, which start a run of several processes, but not "
                f"{', '.join(missing)}; start the run with torchrun, which sets all of them, or unset those there are"
            )
            raise ConfigError(message)
        rank, size, local_rank, local_size, _ = (_number(environment, name) for name in _NEEDED if name != _NEEDED[4])
        return cls(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def share_of(count: int, rank: int, size: int) -> range:
    """Return which of `count` things belong to a process: neighbours, and as many as others have, give or take one.

    Args:
        count: How many there are.
        rank: Number of the process, from 0.
        size: How many processes there are.

    Examples:
        >>> share_of(3, 0, 2), share_of(3, 1, 2)
        (range(0, 2), range(2, 3))
    """
    least, more = divmod(count, size)
    start = rank * least + min(rank, more)
    return range(start, start + least + (rank < more))


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    try:
        return int(text)
    except ValueError as error:
        message = f"{name} in the environment is a whole number; it is {text!r}; let torchrun set it"
        raise ConfigError(message) from error
