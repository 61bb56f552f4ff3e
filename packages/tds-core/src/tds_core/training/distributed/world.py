"""The processes of a run, and what they tell each other.

Control messages (flags, scores, checkpoints) travel over gloo between CPUs, so that they never wait for a GPU;
gradients travel over NCCL where there are GPUs. What is sent is tensors and plain values, and is read with
`weights_only=True`: no process can make another run code.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.distributed._buckets import sum_in_buckets
from tds_core.training.distributed._talk import packed, talking, unpacked
from tds_core.training.distributed.launch import Launch, share_of

_T = TypeVar("_T")

_PATIENCE: Final = timedelta(days=7)
_TURNS: Final = 3
_SAME: Final = 1e-4
"""Relative difference of the sums of a tensor that rounding on unlike GPUs explains."""


class World:
    """All processes of a run, as seen from one of them. Every method is called by all of them, in the same order.

    Args:
        launch: The place of this process; alone if `None`.
        device: What it trains on.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Number of this process on its machine.
        device: What it trains on.
    """

    def __init__(self, launch: Launch | None = None, device: torch.device | None = None) -> None:
        place = launch or Launch()
        self.rank = place.rank
        self.size = place.size
        self.local_rank = place.local_rank
        self.device = device or torch.device("cpu")
        self._patient: dist.ProcessGroup | None = None

    @classmethod
    def joined(cls, launch: Launch, device: torch.device, timeout_s: float) -> Self:
        """Return the world of several processes once all have arrived.

        Args:
            launch: The place of this process.
            device: What it trains on.
            timeout_s: Seconds after which a process that does not answer counts as gone.

        Raises:
            TrainingError: If not all arrive in time.
        """
        world = cls(launch, device)
        with talking():
            dist.init_process_group(
                _backend(device), rank=launch.rank, world_size=launch.size, timeout=timedelta(seconds=timeout_s)
            )
            group = dist.new_group(backend="gloo", timeout=_PATIENCE)
        world._patient = group if isinstance(group, dist.ProcessGroup) else None
        return world

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and tracks."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """Return which of `count` things belong to this process.

        Args:
            count: How many there are.
        """
        return share_of(count, self.rank, self.size)

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that leaves a process without work.

        Args:
            batch: Patches of one step of all processes.

        Raises:
            ConfigError: If there are more processes than patches.
        """
        if batch < self.size:
            message = (
                f"a batch of {batch} patches cannot be shared by {self.size} processes; raise sampling.batch to "
                f"{self.size} or more, or start fewer processes"
            )
            raise ConfigError(message)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, the same in all of them; what is given stays as it is.

        Args:
            values: Numbers of this process, on the CPU or its device; the same shape and type in all.
        """
        total = values.detach().clone()
        if self.size > 1:
            _add(total)
        return total

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes, the same in all of them.

        Args:
            values: Numbers of this process, on the CPU or its device; the same shape and type in all.
        """
        return self.sum(values) / self.size

    def any(self, flag: bool, /) -> bool:  # noqa: FBT001  # reads as the builtin of this name
        """Return whether the flag is set in at least one process.

        Args:
            flag: Of this process.
        """
        return bool(self.sum(torch.tensor(float(flag)))) if self.size > 1 else flag

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.any(False)  # noqa: FBT003  # the value does not matter

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the main process do something first, then one process of each other machine, then all the others.

        For what is made once in a folder and only looked at afterwards: all may share the folder, or each machine may
        have its own. It may take days; but if a process ends, those that wait for it end, too.
        """
        turn = 0 if self.is_main else 1 if self.local_rank == 0 else _TURNS - 1
        self._pass_on(turn)
        yield
        self._pass_on(_TURNS - 1 - turn)

    def broadcast(self, value: _T, /) -> _T:
        """Return the main process's value.

        Args:
            value: Tensors, numbers, texts, and lists, tuples and dictionaries of them; looked at in the main process
                only.
        """
        if self.size == 1:
            return value
        sent = packed(value) if self.is_main else torch.empty(0, dtype=torch.uint8)
        length = torch.tensor([len(sent)])
        with talking():
            dist.broadcast(length, src=0)
            received = sent if self.is_main else torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(received, src=0)
        result: _T = value if self.is_main else unpacked(received)
        return result

    def gather(self, value: _T, /) -> list[_T]:
        """Return the values of all processes, in order of their ranks.

        Args:
            value: Tensors, numbers, texts, and lists, tuples and dictionaries of them.
        """
        if self.size == 1:
            return [value]
        sent = packed(value)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with talking():
            dist.all_gather(lengths, torch.tensor([len(sent)]))
            room = max(int(length) for length in lengths)
            padded = torch.zeros(room, dtype=torch.uint8)
            padded[: len(sent)] = sent
            everything = [torch.empty_like(padded) for _ in range(self.size)]
            dist.all_gather(everything, padded)
        return [unpacked(each[: int(length)]) for each, length in zip(everything, lengths, strict=True)]

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes.

        With losses that are means over samples, weighted by each process's share of the batch, that sum is the
        gradient of the whole batch. A parameter that got a gradient in one process counts as zero in those where it
        got none; one that got none anywhere keeps none, so that optimisers leave it alone.

        Args:
            parameters: Those of the optimiser; the same in all processes.
        """
        if self.size == 1:
            return
        known = [p for p in parameters if p.requires_grad]
        used = self.sum(torch.tensor([float(p.grad is not None) for p in known])).tolist()
        gradients = []
        for parameter, count in zip(known, used, strict=True):
            if count:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        sum_in_buckets(gradients, _add)

    def synchronise(self, network: nn.Module) -> None:
        """Give every process the main process's weights.

        Args:
            network: The same architecture in all processes.

        Raises:
            ConfigError: If a layer looks at a whole batch: each process would see its share only.
        """
        if self.size == 1:
            return
        batch_norm = nn.modules.batchnorm._BatchNorm  # noqa: SLF001  # the one base of all batch normalisations
        names = [name for name, module in network.named_modules() if isinstance(module, batch_norm)]
        if names:
            message = (
                f"the network normalises over the batch ({names[0]} and {len(names) - 1} more layers), which differs "
                f"between {self.size} processes; choose instance or group normalisation"
            )
            raise ConfigError(message)
        network.load_state_dict(self.broadcast(network.state_dict()))

    def check_same(self, network: nn.Module, what: str = "weights") -> None:
        """Refuse to go on if the processes have drifted apart.

        Args:
            network: Whose weights are compared, by a sum for each tensor.
            what: For the message.

        Raises:
            TrainingError: If they differ.
        """
        if self.size == 1:
            return
        mine = _digest(network)
        main = self.broadcast(mine)
        differ = not torch.allclose(mine, main, rtol=_SAME, atol=_SAME, equal_nan=True)
        if self.any(differ):
            message = (
                f"the {what} of the {self.size} processes differ, which must never happen; resume from the last "
                "checkpoint, and report it with the configuration if it happens again"
            )
            raise TrainingError(message)

    def _pass_on(self, times: int) -> None:
        for _ in range(times if self.size > 1 else 0):
            _add(torch.zeros(1), self._patient)

    def close(self) -> None:
        """Leave the others."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        # After an error the others may never answer, and NCCL would wait for them; the end of the process frees
        # everything.
        if error is None or self.device.type == "cpu":
            self.close()


def _backend(device: torch.device) -> str:
    if device.type == "cuda" and dist.is_nccl_available():
        return "cpu:gloo,cuda:nccl"
    return "gloo"


def _add(values: Tensor, group: dist.ProcessGroup | None = None) -> None:
    """Replace numbers by their sums over all processes."""
    with talking():
        dist.all_reduce(values, group=group)


def _digest(network: nn.Module) -> Tensor:
    """Return the sum of the sizes of each tensor's numbers."""
    sums = [tensor.detach().double().abs().sum().cpu() for tensor in network.state_dict().values()]
    return torch.stack(sums) if sums else torch.zeros(0)
