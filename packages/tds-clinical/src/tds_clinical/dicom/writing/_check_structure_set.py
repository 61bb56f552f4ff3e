"""Whether a structure set outlines the segments of the findings, at their places."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing._agreement import agree, agree_identifier, agree_number
from tds_clinical.findings import ResultContext, Segment

_LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_ONE_VOXEL: Final = 1.0
_SAME_SIZE: Final = 0.01  # outlines run inside the edges of their pixels
_SAME_PLACE_MM: Final = 0.1


def check_structure_set(context: ResultContext, structure_set: Dataset, segmentation: Dataset | None) -> None:
    """Go on if a structure set has a region of interest for each segment, named, tracked and placed as it is.

    Args:
        context: What it is about.
        structure_set: The object, read back.
        segmentation: The segmentation, read back; `None` if there is none.

    Raises:
        ResultsDisagree: If it has not.
    """
    segments = context.findings.segments
    agree("number of regions of interest", len(structure_set.StructureSetROISequence), len(segments))
    agree("number of outlined regions", len(structure_set.ROIContourSequence), len(segments))
    for region, contours, segment in zip(
        structure_set.StructureSetROISequence, structure_set.ROIContourSequence, segments, strict=True
    ):
        _check_region(region, segment)
        agree(f"contours of region {segment.number}", int(contours.ReferencedROINumber), segment.number)
        _check_place(context, segment, contours)
        if segmentation is not None:
            _check_origin(region, segment, segmentation)


def _check_region(region: Dataset, segment: Segment) -> None:
    subject = f"region of interest {segment.number}"
    agree(f"{subject}, number", int(region.ROINumber), segment.number)
    agree(f"{subject}, name", region.ROIName, f"Lesion {segment.lesion} {segment.label.name}")
    agree_number(f"{subject}, volume", float(region.ROIVolume), segment.volume_ml)
    words = region.ROIDescription.replace(";", " ").split()  # a structure set has no element of its own for tracking
    agree(f"{subject}, tracking ID in its description", segment.tracking_id in words, expected=True)
    agree(f"{subject}, tracking UID in its description", segment.tracking_uid in words, expected=True)


def _check_origin(region: Dataset, segment: Segment, segmentation: Dataset) -> None:
    subject = f"region of interest {segment.number}"
    origin = region.DefinitionSourceSequence[0]
    agree_identifier(f"{subject}, source", origin.ReferencedSOPInstanceUID, segmentation.SOPInstanceUID)
    agree(f"{subject}, segment of its source", int(origin.ReferencedSegmentNumber), segment.number)


def _check_place(context: ResultContext, segment: Segment, contours: Dataset) -> None:
    """Hold what the contours enclose to the segment: its ends and its size in voxels, and its centroid."""
    subject = f"region of interest {segment.number}"
    voxel_from_lps = np.linalg.inv(_LPS_FROM_RAS @ context.source.ras_from_voxel)
    polygons = [
        _points(contour) @ voxel_from_lps[:3, :3].T + voxel_from_lps[:3, 3] for contour in contours.ContourSequence
    ]
    inside = np.argwhere(context.findings.voxels_of(segment))
    _check_ends(subject, np.concatenate(polygons), inside)
    enclosed, *moments = np.sum([_moments(polygon) for polygon in polygons], axis=0)
    agree_number(f"{subject}, voxels that it encloses", enclosed, len(inside), tolerance=_SAME_SIZE * len(inside))
    voxel_to_mm = context.source.ras_from_voxel[:3, :3].T
    centres = np.array(moments) / enclosed @ voxel_to_mm, inside.mean(axis=0) @ voxel_to_mm
    for axis, written, wanted in zip("xyz", *centres, strict=True):
        agree_number(f"{subject}, {axis} of its centroid", written, wanted, tolerance=_SAME_PLACE_MM)


def _check_ends(subject: str, voxels: NDArray[np.float64], inside: NDArray[np.int64]) -> None:
    for name, side in (("lower", np.min), ("upper", np.max)):
        for axis, written, wanted in zip("xyz", side(voxels, axis=0), side(inside, axis=0), strict=True):
            subject_of_end = f"{subject}, {name} end along {axis} in voxels"
            agree_number(subject_of_end, float(written), float(wanted), tolerance=_ONE_VOXEL)


def _moments(polygon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of a polygon, and its product with the x, y and z of its centroid; of a hole, they are negative.

    Args:
        polygon: Corners in voxels, shape (n, 3), all of one slice.
    """
    x, y, z = polygon.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    crossed = x * next_y - next_x * y
    area = crossed.sum() / 2
    return np.array([area, ((x + next_x) * crossed).sum() / 6, ((y + next_y) * crossed).sum() / 6, area * z.mean()])


def _points(contour: Dataset) -> NDArray[np.float64]:
    stored = contour.get_item("ContourData").value  # as bytes: pydicom's decimal strings take long
    values = stored.split(b"\\") if isinstance(stored, bytes) else stored
    return np.array(values, float).reshape(-1, 3)
