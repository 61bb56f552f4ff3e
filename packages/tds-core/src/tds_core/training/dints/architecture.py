"""What a search finds: the paths of each block and what each computes. A plain file, never a pickle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_core.errors import ConfigError
from tds_core.training.config import parse, read_document, to_document
from tds_core.training.config.checks import check_choice, check_multiple, check_ranges

FORMAT: Final = 1
"""Of `architecture.yaml`."""

OPERATIONS: Final = ("skip_connect", "conv_3x3x3", "conv_3x3x1", "conv_3x1x3", "conv_1x3x3")
"""What a cell may compute, in MONAI's order; the last three are a flat kernel and then one along the remaining axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A path of a block with its cell.

    Attributes:
        source: Level that is read, from 0, the finest.
        target: Level that is written, at most one away.
        operation: One of `OPERATIONS`.
    """

    source: int
    target: int
    operation: str

    def __post_init__(self) -> None:
        check_choice("operation", self.operation, OPERATIONS)
        if abs(self.source - self.target) > 1:
            message = f"a path leads to the same level or a neighbour, not from {self.source} to {self.target}"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network of the space of DiNTS.

    Attributes:
        channels: Channels at full resolution; doubled at each halving.
        depths: Levels.
        downsample: Whether level 0 has half of the image's resolution instead of all of it.
        norm: `instance` or `group`.
        groups: Groups of the group normalisation.
        blocks: Paths of each block. Each block reads all the levels that the one before it wrote, and no other.
    """

    channels: int
    depths: int
    downsample: bool
    blocks: tuple[tuple[Edge, ...], ...]
    norm: str = "instance"
    groups: int = 8

    def __post_init__(self) -> None:
        check_multiple("channels", self.channels, 2)
        check_ranges(2, 4, depths=self.depths)
        check_choice("norm", self.norm, ("instance", "group"))
        if self.norm == "group":
            check_multiple("channels", self.channels, self.groups)
        if not self.blocks:
            message = "an architecture has at least one block; give blocks"
            raise ConfigError(message)
        for number, block in enumerate(self.blocks):
            self._check_block(number, block)

    @property
    def nodes(self) -> tuple[frozenset[int], ...]:
        """Levels in use: those that the first block reads, then those that each block writes."""
        first = frozenset(edge.source for edge in self.blocks[0])
        return first, *(frozenset(edge.target for edge in block) for block in self.blocks)

    def _check_block(self, number: int, block: tuple[Edge, ...]) -> None:
        pairs = [(edge.source, edge.target) for edge in block]
        if not pairs or len(set(pairs)) < len(pairs):
            message = f"block {number} has no path or the same one twice: {pairs}; each block has at least one"
            raise ConfigError(message)
        if any(not 0 <= level < self.depths for pair in pairs for level in pair):
            message = f"block {number} has a path to a level outside 0 to {self.depths - 1}: {pairs}"
            raise ConfigError(message)
        read = {edge.source for edge in block}
        written = {edge.target for edge in self.blocks[number - 1]}
        if number and read != written:
            message = (
                f"block {number} reads the levels {sorted(read)}, but block {number - 1} writes {sorted(written)}; "
                "the two must be the same"
            )
            raise ConfigError(message)


def load_architecture(path: Path) -> Architecture:
    """Return the architecture of a file that a search wrote.

    Args:
        path: Its `architecture.yaml`.

    Raises:
        ConfigError: If it cannot be read, is of another format, or the paths make no network.
    """
    document = read_document(path)
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        message = f"{path.name!r} is no architecture of format {FORMAT}; give the architecture.yaml of a search"
        raise ConfigError(message)
    return parse(Architecture, document.get("architecture"), "architecture.")


def inline_architecture(options: Mapping[str, object], base: Path) -> Mapping[str, object]:
    """Return a network's options with an architecture that is named as a file put in place of its name.

    So a configuration that is kept beside a run or in a bundle needs no other file.

    Args:
        options: Of a network.
        base: Folder that a relative path starts from.

    Raises:
        ConfigError: If the file cannot be read or is no architecture.
    """
    named = options.get("architecture")
    if not isinstance(named, str | Path):
        return options
    return {**options, "architecture": to_document(load_architecture(base / named))}
