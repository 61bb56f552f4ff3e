"""The quality gate: what speaks against segmenting a study, found in a fraction of a second.

Findings of level `error` refuse the study, because a model would give a mask that means nothing: its inputs are
skull-stripped heads of adults at clinical resolution. Findings of level `warning` are shown with the result.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.case import Case
from tds_data.errors import RefusedStudy
from tds_data.preprocess import background
from tds_data.report import QualityFlag, Severity
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume, VoxelArray

SPACING_LIMITS_MM: Final = (0.2, 8.0)
"""Voxel edges outside this range are refused."""
THICK_SLICES_MM: Final = 3.5
"""Voxel edges above this are warned of."""
ANISOTROPY_LIMIT: Final = 3.0
"""Longest voxel edge divided by the shortest, above which a warning is given."""
MIN_EXTENT_MM: Final = 60.0
"""A field of view shorter than this along an axis is refused."""
HEAD_LIMITS_ML: Final = (300.0, 2500.0)
"""A stripped head with less or more content is refused."""
USUAL_BRAIN_ML: Final = (800.0, 2000.0)
"""A stripped head with less or more content is warned of."""
MIN_BACKGROUND_SHARE: Final = 0.3
"""A stripped image has at least this share of constant background."""
MIN_OVERLAP: Final = 0.7
"""A sequence that covers less than this share of the largest one's content is warned of."""

_FAINT: Final = 1e-30  # an image whose largest intensity is above has a spread that single precision can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """How much of an image differs from its background."""

    volume_ml: float
    background_share: float


def check_case(case: Case) -> tuple[QualityFlag, ...]:
    """Return what speaks against segmenting a case; errors first.

    Args:
        case: Registered sequences on one grid.
    """
    flags = [*_grid_flags(case.grid), *_missing_flags(case)]
    contents: dict[Modality, _Content] = {}
    for modality, volume in case.images.items():
        unusable, content = _intensity_flag(modality, volume)
        if unusable is not None:
            flags.append(unusable)
        else:
            contents[modality] = content
    flags.extend(_content_flags(contents))
    return tuple(sorted(flags, key=lambda flag: flag.severity is not Severity.ERROR))


def refuse_errors(flags: tuple[QualityFlag, ...]) -> None:
    """Raise if a finding refuses the study.

    Args:
        flags: What `check_case` returned.

    Raises:
        RefusedStudy: If one of them is an error; holds them all.
    """
    if any(flag.severity is Severity.ERROR for flag in flags):
        raise RefusedStudy(flags)


def _grid_flags(grid: Volume) -> Iterator[QualityFlag]:
    spacing = grid.spacing_mm
    shown = " x ".join(f"{s:.3g}" for s in spacing) + " mm"
    low, high = SPACING_LIMITS_MM
    if min(spacing) < low or max(spacing) > high:
        message = f"voxel edges must lie between {low} and {high} mm; check the header or use a finer series"
        yield _error("EXTREME-SPACING", message, shown)
    elif max(spacing) > THICK_SLICES_MM:
        message = f"slices thicker than {THICK_SLICES_MM} mm hide small lesions and blur volumes"
        yield _warning("THICK-SLICES", message, shown)
    if max(spacing) / min(spacing) > ANISOTROPY_LIMIT:
        message = "voxels are much longer in one direction; volumes and diameters are less certain along it"
        yield _warning("ANISOTROPIC", message, shown)
    extent = [n * s for n, s in zip(grid.shape, spacing, strict=True)]
    if min(extent) < MIN_EXTENT_MM:
        message = f"the field of view is shorter than {MIN_EXTENT_MM:.0f} mm along an axis; use a whole-head series"
        yield _error("TOO-SMALL", message, " x ".join(f"{e:.0f}" for e in extent) + " mm")


def _missing_flags(case: Case) -> Iterator[QualityFlag]:
    for modality in MODALITIES:
        if modality not in case.images:
            message = f"{modality} is missing; results are less accurate without it"
            yield _warning("MISSING-SEQUENCE", message, modality.value)


def _content_flags(contents: Mapping[Modality, _Content]) -> Iterator[QualityFlag]:
    largest = max((content.volume_ml for content in contents.values()), default=0.0)
    for modality, content in contents.items():
        shown = f"{content.volume_ml:.0f} mL"
        low, high = HEAD_LIMITS_ML
        if content.background_share < MIN_BACKGROUND_SHARE or content.volume_ml > high:
            message = f"{modality} is not skull-stripped: its background is not constant or its content is no brain's; "
            yield _error("SKULL-PRESENT", message + "strip the skull first", shown)
        elif content.volume_ml < low:
            message = f"{modality} holds less than {low:.0f} mL of content, too little for a head; export it again"
            yield _error("EMPTY-HEAD", message, shown)
        elif not USUAL_BRAIN_ML[0] <= content.volume_ml <= USUAL_BRAIN_ML[1]:
            message = f"{modality} holds an unusual brain volume; check the skull stripping"
            yield _warning("BRAIN-VOLUME", message, shown)
        if content.volume_ml < MIN_OVERLAP * largest:
            message = f"{modality} covers much less of the head than the others; check its field of view"
            yield _warning("LOW-COVERAGE", message, f"{content.volume_ml / largest:.0%}")


def _intensity_flag(modality: Modality, volume: Volume) -> tuple[QualityFlag | None, _Content]:
    """Return what makes the intensities useless to a network, which sees them in single precision; and the content."""
    voxels = volume.voxels.ravel(order="K")
    single = _single(voxels)
    not_finite = _count_not_finite(single)
    if not_finite:
        message = f"{modality} holds voxels that are NaN, infinite or beyond single precision; export the image again"
        return _error("NOT-FINITE", message, f"{not_finite} voxels"), _Content(volume_ml=0.0, background_share=1.0)
    mask = voxels != background(volume.voxels)
    filled = int(np.count_nonzero(mask))
    content = _Content(volume_ml=filled * volume.voxel_volume_ml, background_share=1.0 - filled / voxels.size)
    if not filled:
        message = f"{modality} is the same value everywhere; export the image again"
        return _error("CONSTANT-IMAGE", message, str(voxels[0])), content
    if not _has_spread(single, mask, filled):
        message = f"{modality} is a single value on its background, as a mask is; give the image itself"
        return _error("CONSTANT-IMAGE", message, str(voxels[mask.argmax()])), content
    return None, content


def _single(voxels: VoxelArray) -> VoxelArray:
    if voxels.dtype.kind != "f" and voxels.dtype.itemsize <= np.dtype(np.int16).itemsize:
        return voxels  # single precision holds these exactly
    with np.errstate(over="ignore"):
        return voxels.astype(np.float32, copy=False)


def _count_not_finite(voxels: VoxelArray) -> int:
    if voxels.dtype.kind != "f":
        return 0
    finite = np.isfinite(voxels)
    return 0 if finite.all() else int(np.count_nonzero(~finite))


def _has_spread(voxels: VoxelArray, mask: NDArray[np.bool_], filled: int) -> bool:
    """Tell whether the foreground's values differ, and by enough to be divided by in single precision."""
    first = voxels[mask.argmax()]
    if np.count_nonzero(voxels == first) >= filled and (voxels[mask] == first).all():
        return False
    if voxels.dtype.kind != "f" or max(voxels.max(), -voxels.min()) > _FAINT:
        return True
    return bool(voxels[mask].std(dtype=np.float64) >= np.finfo(np.float32).tiny)


def _error(code: str, message: str, value: str) -> QualityFlag:
    return QualityFlag(code=code, severity=Severity.ERROR, message=message, value=value)


def _warning(code: str, message: str, value: str) -> QualityFlag:
    return QualityFlag(code=code, severity=Severity.WARNING, message=message, value=value)
