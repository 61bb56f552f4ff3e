"""RT Structure Sets as voxels, ours and those of other makers, so that edited contours can be taken up again."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from tds_clinical.codes import LABEL_CODES
from tds_clinical.dicom._dataset import read_dataset
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._rasterise import Points, rasterise
from tds_clinical.dicom._slice_axes import SliceAxes, slice_axes
from tds_clinical.dicom._tags import number, text
from tds_clinical.dicom.source import SourceSeries
from tds_clinical.errors import ClinicalError, DicomReadError, ResultsDisagree
from tds_data.vocabulary import Label
from tds_data.volume import Volume

_LOGGER: Final = logging.getLogger(__name__)
_CLOSED: Final = "CLOSED_PLANAR"
_EXCLUSIVE: Final = "CLOSEDPLANAR_XOR"
_OFF_PLANE_STEPS: Final = 0.1
_AXES: Final = 3
_SAME_CORNER: Final = 3  # decimals of a pixel
_LONGEST_PATH: Final = 1 << 22  # pixels
_TRACKING_UID: Final = re.compile(r"Tracking UID ([0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Structure:
    """A region of interest of a structure set.

    Attributes:
        number: ROI Number.
        name: ROI Name, empty if it has none.
        tracking_uid: Tracking UID that its description names, as that of our segments does; empty if there is none.
        label: What it is, by its code or else by the last word of its name (`NCR`, `ED` or `ET`); `None` if neither
            tells.
        volume: Boolean voxels on the grid of the series.
    """

    number: int
    name: str
    tracking_uid: str
    label: Label | None
    volume: Volume


def read_structure_set(path: Path, source: SourceSeries) -> tuple[Structure, ...]:
    """Return the regions of interest of an RT Structure Set as voxels, in its order.

    A voxel belongs to a region if its centre lies inside the region's contours or on them. Contours of the type
    `CLOSEDPLANAR_XOR` exclude each other. Of those of the type `CLOSED_PLANAR` one within another is a hole, as most
    planning systems write it; contours that partly overlap are taken together, and a warning is logged. Open contours
    and points have no voxels.

    Args:
        path: The file.
        source: The series that it was drawn on.

    Raises:
        DicomReadError: If it is damaged or no RT Structure Set.
        ResultsDisagree: If it was drawn in another frame of reference, or not on the planes of the series.
    """
    try:
        with quiet_pydicom():
            return _read(path, source)
    except ClinicalError:
        raise
    except Exception as error:  # nested elements are parsed when they are asked for, and damaged ones fail in many ways
        raise DicomReadError(path, f"an element of it is damaged ({type(error).__name__}); export it again") from error


def structures_as_labels(structures: Sequence[Structure]) -> Volume:
    """Return the mask that structures make together: labels 0 to 3.

    Args:
        structures: One or more, each with a label.

    Raises:
        ResultsDisagree: If there is none, if one of them has no label, or if two labels claim the same voxels.
    """
    if not structures:
        message = "the structure set has no regions of interest; export those that were drawn"
        raise ResultsDisagree(message)
    labels = np.zeros(structures[0].volume.shape, np.uint8)
    for structure in structures:
        if structure.label is None:
            message = f"region {structure.number} is none of NCR, ED and ET; end its name with one of them"
            raise ResultsDisagree(message)
        where = np.asarray(structure.volume.voxels, bool)
        claimed = int(((labels[where] != 0) & (labels[where] != structure.label)).sum())
        if claimed:
            message = (
                f"region {structure.number} of the structure set shares {claimed} voxels with regions of other labels; "
                "cut one out of the other"
            )
            raise ResultsDisagree(message)
        labels[where] = structure.label
    return structures[0].volume.with_voxels(labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Polygon:
    slice_index: int
    exclusive: bool
    points: Points


def _read(path: Path, source: SourceSeries) -> tuple[Structure, ...]:
    dataset = read_dataset(path)
    if text(dataset, "SOPClassUID") != RTStructureSetStorage:
        raise DicomReadError(path, "it is no RT Structure Set; give the file that the planning system exported")
    axes = slice_axes(source)
    contours: dict[int | None, list[Dataset]] = defaultdict(list)
    for item in dataset.get("ROIContourSequence") or []:
        contours[_whole(item, "ReferencedROINumber")] += item.get("ContourSequence") or []
    observed = dataset.get("RTROIObservationsSequence") or []
    observations = {_whole(item, "ReferencedROINumber"): item for item in observed}
    structures = []
    for region in dataset.get("StructureSetROISequence") or []:
        roi = _roi_number(path, region)
        _check_frame(region, roi, source)
        polygons = _polygons(path, roi, contours[roi], axes)
        _check_paths(path, roi, polygons, source)
        structures.append(_structure(region, roi, observations.get(roi), _voxels(roi, polygons, source)))
    return tuple(structures)


def _whole(item: Dataset, keyword: str) -> int | None:
    value = number(item, keyword)
    return None if value is None else int(value)


def _roi_number(path: Path, region: Dataset) -> int:
    roi = _whole(region, "ROINumber")
    if roi is None:
        raise DicomReadError(path, "a region of interest has no number; export the structure set again")
    return roi


def _check_frame(region: Dataset, roi: int, source: SourceSeries) -> None:
    frame = text(region, "ReferencedFrameOfReferenceUID")
    if not frame or frame != source.frame_of_reference_uid:
        message = (
            f"region {roi} of the structure set was drawn in another frame of reference than that of the series; "
            "give the series that it was drawn on"
        )
        raise ResultsDisagree(message)


def _polygons(path: Path, roi: int, contours: Sequence[Dataset], axes: SliceAxes) -> list[_Polygon]:
    found: list[_Polygon] = []
    ignored = 0
    for contour in contours:
        kind = text(contour, "ContourGeometricType")
        if kind not in (_CLOSED, _EXCLUSIVE):
            ignored += 1
            continue
        points = _points(path, roi, contour)
        slice_index, off_mm = axes.nearest_slice(points)
        if off_mm > _OFF_PLANE_STEPS * float(axes.planes.slice_spacing):
            message = (
                f"a contour of region {roi} lies {off_mm:.2f} mm off the nearest slice; "
                "give the series that the structure set was drawn on"
            )
            raise ResultsDisagree(message)
        pixels = axes.to_slice(points, slice_index)
        found.append(_Polygon(slice_index=slice_index, exclusive=kind == _EXCLUSIVE, points=pixels))
    if ignored:
        _LOGGER.warning("structure_contours_without_area region=%d contours=%d", roi, ignored)
    return found


def _points(path: Path, roi: int, contour: Dataset) -> Points:
    """Return the corners of a contour, LPS millimetres, shape (n, 3)."""
    # As stored, because pydicom's own decimal strings are many times slower.
    stored = contour.get_item("ContourData").value if "ContourData" in contour else b""
    try:
        points = np.array(bytes(stored).split(b"\\"), "S").astype(np.float64).reshape(-1, _AXES)
    except (ValueError, TypeError) as error:
        raise DicomReadError(path, f"a contour of region {roi} is malformed; export the structure set again") from error
    if not np.isfinite(points).all():
        raise DicomReadError(path, f"a contour of region {roi} is not finite; export the structure set again")
    return points


def _check_paths(path: Path, roi: int, polygons: Iterable[_Polygon], source: SourceSeries) -> None:
    """Refuse contours that take far more work and memory than any that goes once around the pixels of a picture."""
    for polygon in polygons:
        within = polygon.points.clip(-1, source.shape[:2])
        crossed = int(np.abs(np.roll(within, -1, axis=0) - within).sum(axis=0).max())
        if crossed > _LONGEST_PATH:
            reason = (
                f"a contour of region {roi} crosses the image {crossed} pixels far; draw it anew and export it again"
            )
            raise DicomReadError(path, reason)


def _voxels(roi: int, polygons: list[_Polygon], source: SourceSeries) -> Volume:
    voxels = np.zeros(source.shape, bool)
    overlaps = 0
    by_slice: dict[int, list[_Polygon]] = {}
    for polygon in polygons:
        by_slice.setdefault(polygon.slice_index, []).append(polygon)
    for slice_index, drawn in by_slice.items():
        picture = voxels[:, :, slice_index]
        if any(polygon.exclusive for polygon in drawn):
            _draw_exclusive(picture, drawn)
        else:
            overlaps += _draw_nested(picture, drawn)
    if overlaps:
        _LOGGER.warning("structure_contours_overlap region=%d contours=%d", roi, overlaps)
    return Volume(voxels, source.ras_from_voxel)


def _draw_exclusive(picture: NDArray[np.bool_], polygons: Iterable[_Polygon]) -> None:
    patches = [rasterise(polygon.points, picture.shape) for polygon in polygons]
    for patch in patches:
        picture[patch.window] ^= patch.inside
    for patch in patches:
        picture[patch.window] |= patch.on_path


def _draw_nested(picture: NDArray[np.bool_], polygons: Iterable[_Polygon]) -> int:
    """Draw polygons that are holes where they lie in others, and return how many of them overlap others in part."""
    overlaps = 0
    unique = {_corners(polygon.points): polygon.points for polygon in polygons}  # drawn twice is no hole
    for points in sorted(unique.values(), key=_area, reverse=True):
        patch = rasterise(points, picture.shape)
        drawn = picture[patch.window]
        whole = patch.inside | patch.on_path
        inner = patch.inside & ~patch.on_path
        if not (whole & ~drawn).any():
            drawn &= ~inner
            continue
        overlaps += bool((inner & drawn).any())
        drawn |= whole
    return overlaps


def _corners(points: Points) -> bytes:
    """Return what two polygons share that have the same corners, whichever is the first and whichever way they turn."""
    rounded = np.round(points, _SAME_CORNER) + 0.0
    return np.unique(rounded, axis=0).tobytes()


def _area(points: Points) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _structure(region: Dataset, roi: int, observation: Dataset | None, volume: Volume) -> Structure:
    name = text(region, "ROIName")
    tracked = _TRACKING_UID.search(text(region, "ROIDescription"))
    codes = (observation.get("RTROIIdentificationCodeSequence") if observation is not None else None) or []
    return Structure(
        number=roi,
        name=name,
        tracking_uid=tracked[1] if tracked else "",
        label=_label_of_code(codes) or _label_of_name(name),
        volume=volume,
    )


def _label_of_code(codes: Sequence[Dataset]) -> Label | None:
    named = {(text(code, "CodeValue"), text(code, "CodingSchemeDesignator")) for code in codes}
    return next((label for label, code in LABEL_CODES.items() if (code.value, code.scheme) in named), None)


def _label_of_name(name: str) -> Label | None:
    last = name.upper().split()[-1:]
    return next((label for label in LABEL_CODES if [label.name] == last), None)
