"""What a network must say about itself to be in the registry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from torch import nn

from tds_core.training.config import Shape

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRequest:
    """What is asked of a network apart from its own options.

    Attributes:
        in_channels: Images that go in.
        out_channels: Logits that come out, per voxel.
        patch: Voxels along x, y, z that it is trained on.
        deep_supervision: Whether it gives coarser outputs too while training.
    """

    in_channels: int
    out_channels: int
    patch: Shape
    deep_supervision: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(Generic[Options]):
    """A network of the registry.

    Attributes:
        name: What configurations call it.
        summary: What it is, in one sentence.
        paper: Where it was published.
        memory: What decides how much memory it takes, in one sentence.
        options: Dataclass of what it may be told; it checks its values itself.
        factors: Gives the numbers that a patch's voxels along x, y, z are multiples of, which is also how much smaller
            the coarsest features are; of the options and the patch.
        build: Makes the network with weights drawn from torch's global generator. In training mode with deep
            supervision it returns a list of logits, finest first, each at its own resolution; else one tensor.
        fixed_size: Whether it only ever takes the patch that it was built for.
        deep_supervision: Whether it has coarser outputs to train.
    """

    name: str
    summary: str
    paper: str
    memory: str
    options: type[Options]
    factors: Callable[[Options, Shape], Shape]
    build: Callable[[Options, NetworkRequest], nn.Module]
    fixed_size: bool = False
    deep_supervision: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is to be known about a network before one is built.

    Attributes:
        name: What configurations call it.
        summary: What it is, in one sentence.
        paper: Where it was published.
        fixed_size: Whether it only ever takes the patch that it was built for.
        deep_supervision: Whether it has coarser outputs to train.
        options: Dataclass of what it may be told.
        memory: What decides how much memory it takes, in one sentence.
    """

    name: str
    summary: str
    paper: str
    fixed_size: bool
    deep_supervision: bool
    options: type
    memory: str
