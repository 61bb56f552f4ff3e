"""What a bundle's `bundle.yaml` says about running it, in both formats.

Format 1 is that of the bundle that ships with this package: brain tumours, sigmoid heads, whole images. Format 2 adds a
task, heads, windows and members; see `docs/reference/bundle-format.md`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from tds_core.errors import BundleIncompatible
from tds_core.windows import Shape, WindowPlan
from tds_data.geometry import Interpolation
from tds_data.preprocess import PreprocessConfig
from tds_data.task import BRAIN_TUMOUR, Task
from tds_data.vocabulary import REGIONS, Modality

GRAPH_NAME: Final = "model.onnx"
WEIGHTS_NAME: Final = "weights.safetensors"

HEADS: Final = ("regions", "classes")
"""What a network's outputs are: one sigmoid a region, or one softmax over background and labels."""

BYTES_PER_VOXEL: Final = 360
"""What a network takes per voxel of its input where the bundle does not say; measured with the shipped one."""

_AXES: Final = (0, 1, 2)
_RAS: Final = ("RL", "AP", "SI")
"""Where each axis may lead: as in RAS, or the other way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessConfig:
    """How probabilities become a mask.

    Attributes:
        thresholds: Smallest probability that counts as inside, per region.
        min_lesion_ml: Lesions smaller than this are dropped, millilitres.
        mirror: Axes (0 x, 1 y, 2 z) that are mirrored in turn; predictions of all combinations are averaged.

    Raises:
        BundleIncompatible: If a value is out of range.
    """

    thresholds: Mapping[str, float]
    min_lesion_ml: float
    mirror: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for region, threshold in self.thresholds.items():
            if not 0.0 <= threshold <= 1.0:
                raise BundleIncompatible(_threshold_message(region, self.thresholds))
        if not self.min_lesion_ml >= 0.0:
            message = f"the bundle drops lesions below {self.min_lesion_ml} mL; that must be 0 or more"
            raise BundleIncompatible(message)
        if len(set(self.mirror)) < len(self.mirror) or not set(self.mirror) <= set(_AXES):
            message = f"the bundle mirrors axes {self.mirror}; they must be different ones of {_AXES}"
            raise BundleIncompatible(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One network of a bundle.

    Attributes:
        graph: Name of its ONNX file.
        share: How much its probabilities count; those of all members add up to 1.
    """

    graph: str = GRAPH_NAME
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkUse:
    """How the networks of a bundle are run.

    Attributes:
        task: What goes in and comes out.
        heads: One of `HEADS`.
        windows: How they are led over a whole image.
        reversed_axes: Axes (0 x, 1 y, 2 z) along which the networks see images turned round, because they were trained
            on images that were not in RAS order.
        members: The networks; their probabilities are averaged.
        bytes_per_voxel: What one of them takes per voxel of its input while it runs.
        weight_bytes: What the weights of the largest take; those of the shipped one are part of the runtime's share.
    """

    task: Task = field(default_factory=lambda: BRAIN_TUMOUR)
    heads: str = HEADS[0]
    windows: WindowPlan = field(default_factory=WindowPlan)
    reversed_axes: tuple[int, ...] = ()
    members: tuple[Member, ...] = field(default_factory=lambda: (Member(),))
    bytes_per_voxel: int = BYTES_PER_VOXEL
    weight_bytes: int = 0

    @property
    def outputs(self) -> int:
        """How many outputs each network has."""
        return len(self.task.regions) if self.heads == HEADS[0] else 1 + len(self.task.labels)

    @property
    def is_brain_tumour(self) -> bool:
        """Whether the task is that of `segment`: MRI sequences in any order, the three regions in any order."""
        return (
            set(self.task.channels) <= set(Modality)
            and self.task.labels == BRAIN_TUMOUR.labels
            and {r: set(v) for r, v in self.task.regions.items()}
            == {r: set(v) for r, v in BRAIN_TUMOUR.regions.items()}
        )


def read_use(document: Mapping[str, Any]) -> NetworkUse:
    """Return how the networks of a bundle are run.

    Args:
        document: Content of `bundle.yaml`.

    Raises:
        BundleIncompatible: If it says something that this version does not know.
        KeyError: If a field is missing; so too the builtin errors of fields of a wrong kind.
    """
    if document["format"] == 1:
        if tuple(document["regions"]) != REGIONS:
            message = f"the bundle predicts {document['regions']}; this version needs {list(REGIONS)} in that order"
            raise BundleIncompatible(message)
        return NetworkUse(task=_plain_brain_tumour(document["modalities"]))
    heads = document["heads"]
    if heads not in HEADS:
        message = f"the bundle has {heads!r} heads; this version knows {' and '.join(HEADS)}"
        raise BundleIncompatible(message)
    inference = document["inference"]
    return NetworkUse(
        task=Task.from_dict(document["task"]),
        heads=heads,
        windows=_read_windows(inference),
        reversed_axes=read_orientation(document["preprocessing"]["orientation"]),
        members=_read_members(document.get("members")),
        bytes_per_voxel=int(inference["bytes_per_voxel"]),
        weight_bytes=int(inference["weight_bytes"]),
    )


def orientation(use: NetworkUse) -> str:
    """Return the order in which networks see images, such as `RAS`.

    Args:
        use: How they are run.
    """
    return "".join(pair[axis in use.reversed_axes] for axis, pair in enumerate(_RAS))


def read_preprocess(document: Mapping[str, Any], use: NetworkUse) -> PreprocessConfig:
    """Return how cases become tensors; its modalities mean something for brain tumours only.

    Args:
        document: Content of `bundle.yaml`.
        use: What `read_use` made of it.
    """
    before = document["preprocessing"]
    edges = before["spacing_mm"]
    return PreprocessConfig(
        modalities=tuple(Modality(c) for c in use.task.channels) if use.is_brain_tumour else (),
        spacing_mm=cast("tuple[float, float, float]", tuple(map(float, edges)))
        if isinstance(edges, list)
        else float(edges),
        clip=math.inf if before["clip"] is None else float(before["clip"]),
        interpolation=Interpolation(before.get("interpolation", Interpolation.LINEAR)),
    )


def read_postprocess(document: Mapping[str, Any], task: Task) -> PostprocessConfig:
    """Return how probabilities become masks.

    Args:
        document: Content of `bundle.yaml`.
        task: Names the regions.

    Raises:
        BundleIncompatible: If a threshold is missing or a value is out of range.
    """
    after = document["postprocessing"]
    thresholds = {str(region): float(value) for region, value in after["thresholds"].items()}
    for region in task.regions:
        if region not in thresholds:
            raise BundleIncompatible(_threshold_message(region, thresholds))
    return PostprocessConfig(
        thresholds=thresholds,
        min_lesion_ml=float(after["min_lesion_ml"]),
        mirror=tuple(int(axis) for axis in after["mirror"]),
    )


def _plain_brain_tumour(modalities: list[str]) -> Task:
    return Task(
        name=BRAIN_TUMOUR.name,
        channels=tuple(Modality(m) for m in modalities),
        labels=BRAIN_TUMOUR.labels,
        regions=BRAIN_TUMOUR.regions,
        lesions_only=True,
    )


def _read_windows(inference: Mapping[str, Any]) -> WindowPlan:
    patch = inference["patch"]
    return WindowPlan(
        patch=None if patch is None else _shape(patch),
        overlap=float(inference["overlap"]),
        fixed=bool(inference["fixed"]),
        multiple=_shape(inference["multiple"]),
        whole_voxels=int(inference["whole_voxels"]),
        gaussian={"gaussian": True, "constant": False}[inference["blend"]],
    )


def read_orientation(axes: str) -> tuple[int, ...]:
    """Return the axes along which images are turned round from RAS.

    Args:
        axes: Such as `LPS`.

    Raises:
        BundleIncompatible: If the axes are not x, y, z in this order.
    """
    if len(axes) != len(_RAS) or any(found not in pair for found, pair in zip(axes, _RAS, strict=True)):
        message = f"the bundle wants images in the order {axes!r}; this version knows RAS and reversals such as LPS"
        raise BundleIncompatible(message)
    return tuple(axis for axis, (found, pair) in enumerate(zip(axes, _RAS, strict=True)) if found != pair[0])


def _read_members(entries: list[Mapping[str, Any]] | None) -> tuple[Member, ...]:
    if not entries:
        return (Member(),)
    members = tuple(Member(graph=str(entry["graph"]), share=float(entry["share"])) for entry in entries)
    total = sum(member.share for member in members)
    if min(member.share for member in members) <= 0 or abs(total - 1.0) > 1e-6:  # noqa: PLR2004  # rounding of YAML
        message = f"the members' shares are {[m.share for m in members]}; each is above 0, and they add up to 1"
        raise BundleIncompatible(message)
    return members


def _shape(edges: list[int]) -> Shape:
    x, y, z = (int(edge) for edge in edges)
    return x, y, z


def _threshold_message(region: str, thresholds: Mapping[str, float]) -> str:
    return f"the bundle needs a threshold between 0 and 1 for {region}; it has {dict(thresholds)}"


def describe_use(use: NetworkUse) -> dict[str, Any]:
    """Return the fields of format 2 that `read_use` reads.

    Args:
        use: How the networks are run.
    """
    plan = use.windows
    fields: dict[str, Any] = {
        "task": use.task.to_dict(),
        "heads": use.heads,
        "inference": {
            "patch": None if plan.patch is None else list(plan.patch),
            "overlap": plan.overlap,
            "fixed": plan.fixed,
            "multiple": list(plan.multiple),
            "whole_voxels": plan.whole_voxels,
            "blend": "gaussian" if plan.gaussian else "constant",
            "bytes_per_voxel": use.bytes_per_voxel,
            "weight_bytes": use.weight_bytes,
        },
    }
    if len(use.members) > 1:
        fields["members"] = [{"graph": member.graph, "share": member.share} for member in use.members]
    return fields
