"""Where a study was before it was prepared, on disk and in memory, and masks back to there.

Nothing here needs an extra. A tumour mask travels as the share of each voxel that each region fills: linear
interpolation (or the mean over a voxel that is larger), then at least half makes the region, and the nested regions
make the labels. On a grid with the same points it stays exactly what it was. With the rule `nearest` any integer
labels travel, each voxel taking the one at its centre.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tds_data.errors import DataError, PlanError, VolumeWriteError
from tds_data.geometry import Interpolation, Shape, to_canonical
from tds_data.raw.resampling import Affine, resample_labels, resample_to
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

PLAN_VERSION: Final = "1.0"
"""Version of the JSON form; the major number changes when a reader of the old form would break."""

_MAX_VOXELS: Final = 2**31
_AXES: Final = 3
_SIDE: Final = 4


class MaskRule(StrEnum):
    """How labels travel between grids; see the module."""

    REGIONS = "regions"
    NEAREST = "nearest"


class Space(StrEnum):
    """Where a prepared study lies: where its reference sequence was, or in the atlas's space."""

    REFERENCE = "reference"
    ATLAS = "atlas"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Shape and affine of an image, without its voxels.

    Attributes:
        shape: Voxels along x, y, z.
        ras_from_voxel: Affine of shape (4, 4).
    """

    shape: Shape
    ras_from_voxel: Affine

    def as_volume(self) -> Volume:
        """Return a volume of zeros that takes no memory."""
        return Volume(np.broadcast_to(np.uint8(0), self.shape), self.ras_from_voxel)


def grid_of(volume: Volume) -> Grid:
    """Return the grid of a volume.

    Args:
        volume: The volume.
    """
    return Grid(shape=volume.shape, ras_from_voxel=volume.ras_from_voxel)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NativeSequence:
    """Where one sequence was.

    Attributes:
        grid: Its own grid.
        prepared_from_native: Matrix of shape (4, 4) from its own RAS+ millimetres to the prepared study's.
    """

    grid: Grid
    prepared_from_native: Affine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """How a prepared study is connected with the raw one.

    Attributes:
        reference: The sequence that the others were brought to.
        space: Where the prepared study lies.
        grid: The prepared study's grid.
        sequences: Where each sequence was, in model order.
    """

    reference: Modality
    space: Space
    grid: Grid
    sequences: Mapping[Modality, NativeSequence]

    def __post_init__(self) -> None:
        ordered = {m: self.sequences[m] for m in MODALITIES if m in self.sequences}
        object.__setattr__(self, "sequences", MappingProxyType(ordered))
        if self.reference not in ordered:
            message = f"the reference sequence {self.reference} is not among the sequences {', '.join(ordered)}"
            raise PlanError(message)

    def sequence(self, modality: Modality | None = None) -> NativeSequence:
        """Return where a sequence was.

        Args:
            modality: The sequence; the reference if `None`.

        Raises:
            PlanError: If the study has no such sequence.
        """
        wanted = modality or self.reference
        if wanted not in self.sequences:
            message = f"the study has no {wanted}; it has {', '.join(self.sequences)}"
            raise PlanError(message)
        return self.sequences[wanted]


def to_native(
    mask: Volume, plan: Plan, modality: Modality | None = None, *, rule: MaskRule = MaskRule.REGIONS
) -> Volume:
    """Return a mask on the grid that a sequence had before it was prepared.

    Args:
        mask: Integer labels on the prepared study's grid, in whatever orientation.
        plan: How the study was prepared.
        modality: The sequence; the reference if `None`.
        rule: How labels travel.

    Raises:
        PlanError: If the mask is not on the prepared study's grid, or the study has no such sequence.
        LabelError: If regions are asked for and the mask holds something else than labels 0 to 3.
    """
    sequence = plan.sequence(modality)
    _check_grid(mask, plan.grid, "the prepared study")
    return _carried(mask, sequence.grid, np.linalg.inv(sequence.prepared_from_native).astype(np.float64), rule)


def to_prepared(
    mask: Volume, plan: Plan, modality: Modality | None = None, *, rule: MaskRule = MaskRule.REGIONS
) -> Volume:
    """Return a mask of a raw sequence, such as an expert's, on the prepared study's grid.

    Args:
        mask: Integer labels on the sequence's own grid, in whatever orientation.
        plan: How the study was prepared.
        modality: The sequence; the reference if `None`.
        rule: How labels travel.

    Raises:
        PlanError: If the mask is not on the sequence's grid, or the study has no such sequence.
        LabelError: If regions are asked for and the mask holds something else than labels 0 to 3.
    """
    sequence = plan.sequence(modality)
    _check_grid(mask, sequence.grid, f"the raw {modality or plan.reference}")
    return _carried(mask, plan.grid, sequence.prepared_from_native, rule)


def save_plan(path: Path, plan: Plan) -> None:
    """Write a plan as JSON.

    Args:
        path: The file; replaced if it exists.
        plan: The plan.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    document = {
        "schema_version": PLAN_VERSION,
        "world": "RAS+ millimetres",
        "reference": plan.reference.value,
        "space": plan.space.value,
        "prepared": _grid_fields(plan.grid),
        "sequences": {
            modality.value: {**_grid_fields(s.grid), "prepared_from_native": s.prepared_from_native.tolist()}
            for modality, s in plan.sequences.items()
        },
    }
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise VolumeWriteError(path, error.strerror or str(error)) from error


def load_plan(path: Path) -> Plan:
    """Return the plan in a JSON file.

    Args:
        path: What `save_plan` wrote.

    Raises:
        PlanError: If it cannot be read or is no plan that this version knows.
    """
    try:
        return _plan(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        message = f"{path.name!r} cannot be read ({error.strerror}); give the transforms.json of a prepared study"
        raise PlanError(message) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, DataError) as error:
        message = f"{path.name!r} is no file of transforms: {type(error).__name__}: {error}"
        raise PlanError(message) from error


def _plan(document: Mapping[str, Any]) -> Plan:
    if str(document["schema_version"]).partition(".")[0] != PLAN_VERSION.partition(".")[0]:
        message = f"schema version {document['schema_version']} cannot be read; this version reads {PLAN_VERSION}"
        raise ValueError(message)
    sequences = {
        Modality(name): NativeSequence(grid=_grid(entry), prepared_from_native=_matrix(entry["prepared_from_native"]))
        for name, entry in document["sequences"].items()
    }
    return Plan(
        reference=Modality(document["reference"]),
        space=Space(document["space"]),
        grid=_grid(document["prepared"]),
        sequences=sequences,
    )


def _carried(mask: Volume, grid: Grid, grid_from_mask: Affine, rule: MaskRule) -> Volume:
    if rule is MaskRule.NEAREST:
        return resample_to(mask, grid.as_volume(), grid_from_mask, interpolation=Interpolation.NEAREST)
    return resample_labels(mask, grid.as_volume(), grid_from_mask)


def _check_grid(mask: Volume, grid: Grid, whose: str) -> None:
    if not to_canonical(mask).same_grid(to_canonical(grid.as_volume())):
        message = f"the mask has {mask.shape} voxels and is not on the grid of {whose}, which has {grid.shape}"
        raise PlanError(message)


def _grid_fields(grid: Grid) -> dict[str, Any]:
    return {"shape": list(grid.shape), "ras_from_voxel": grid.ras_from_voxel.tolist()}


def _grid(entry: Mapping[str, Any]) -> Grid:
    shape = [int(n) for n in entry["shape"]]
    if len(shape) != _AXES or min(shape) < 1 or math.prod(shape) > _MAX_VOXELS:
        message = f"a grid of shape {shape} cannot be"
        raise ValueError(message)
    return Grid(shape=(shape[0], shape[1], shape[2]), ras_from_voxel=_matrix(entry["ras_from_voxel"]))


def _matrix(rows: Any) -> Affine:  # noqa: ANN401  # JSON of any kind
    # Volume holds all the rules of what makes an affine.
    return Volume(np.zeros((1, 1, 1), np.uint8), np.asarray(rows, np.float64)).ras_from_voxel
