"""What DiNTS may be told: the space that is searched, how, and which network was found."""

from dataclasses import dataclass, field
from pathlib import Path

from tds_core.training.config.checks import check_choice, check_multiple, check_positive, check_ranges
from tds_core.training.dints.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """How architectures are searched.

    Attributes:
        warmup_share: Share of the run in which weights alone are trained.
        learning_rate: Of the architecture's probabilities, in an Adam of their own; the schedule does not change it.
        memory: What the network that is found shall take, as a share of the largest network of the space.
        memory_weight: Weight of the distance from that share.
        entropy_weight: Weight of the two entropies, which press for a decision between operations and between paths.
        topology_weight: Weight of the mismatch between the nodes that a block writes and those that the next one reads.
    """

    warmup_share: float = 0.5
    learning_rate: float = 1e-3
    memory: float = 0.5
    memory_weight: float = 1.0
    entropy_weight: float = 1.0
    topology_weight: float = 1e-3

    def __post_init__(self) -> None:
        check_ranges(0, 0.99, warmup_share=self.warmup_share)
        check_positive(learning_rate=self.learning_rate)
        check_ranges(0, 1, memory=self.memory)
        check_ranges(
            0,
            1e6,
            memory_weight=self.memory_weight,
            entropy_weight=self.entropy_weight,
            topology_weight=self.topology_weight,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DintsSearchOptions:
    """The space of networks that a search looks through.

    Attributes:
        channels: Channels at full resolution; doubled at each halving.
        blocks: Blocks one after the other, of one layer of cells each.
        depths: Resolutions, each half of the one before.
        downsample: Whether the finest of them is half of the image's, which saves most of the memory.
        norm: `instance` or `group`.
        groups: Groups of the group normalisation.
        search: How it is searched.
    """

    channels: int = 32
    blocks: int = 12
    depths: int = 4
    downsample: bool = True
    norm: str = "instance"
    groups: int = 8
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        check_multiple("channels", self.channels, 2)
        check_ranges(1, 64, blocks=self.blocks)
        check_ranges(2, 4, depths=self.depths)  # a block has 2 ** (3 * depths - 2) sets of paths: 5 would be 8192
        check_choice("norm", self.norm, ("instance", "group"))
        if self.norm == "group":
            check_multiple("channels", self.channels, self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class DintsOptions:
    """The network that a search found.

    Attributes:
        architecture: File `architecture.yaml` of a search, or what stands there under `architecture`.
    """

    architecture: Path | Architecture
