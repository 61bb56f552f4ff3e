"""Whether a segmentation object holds the segments of the findings, at their places."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.codes import LABEL_CODES
from tds_clinical.dicom.writing._agreement import agree, agree_identifier, agree_number
from tds_clinical.findings import Findings, ResultContext, Segment

_RAS_FROM_LPS: Final = np.array([-1.0, -1.0, 1.0])
_SAME_PLACE_MM: Final = 0.1

Sums = dict[int, NDArray[np.float64]]
"""Of each segment, by number: how many voxels it has, and the sums of their x, y and z."""


def check_segmentation(context: ResultContext, segmentation: Dataset) -> None:
    """Go on if a segmentation has the segments, voxels and places of the findings.

    Args:
        context: What it is about.
        segmentation: The object, read back.

    Raises:
        ResultsDisagree: If it does not.
    """
    findings = context.findings
    described = [item for item in segmentation.SegmentSequence if item.SegmentNumber]  # 0 is the background
    agree("number of segments", len(described), len(findings.segments))
    stored, expected = _stored_sums(segmentation), _expected_sums(findings)
    for item, segment in zip(described, findings.segments, strict=True):
        _check_description(item, segment)
        _check_place(segment, stored.get(segment.number, np.zeros(4)), expected[segment.number])
    agree("segments that have voxels", sorted(stored), sorted(expected))
    _check_voxels(findings, segmentation)


def _check_description(item: Dataset, segment: Segment) -> None:
    subject = f"segment {segment.number}"
    agree(f"{subject}, number", int(item.SegmentNumber), segment.number)
    code = item.SegmentedPropertyTypeCodeSequence[0].CodeValue
    agree(f"{subject}, code of the label", code, LABEL_CODES[segment.label].value)
    agree(f"{subject}, tracking ID", item.TrackingID, segment.tracking_id)
    agree_identifier(f"{subject}, tracking UID", item.TrackingUID, segment.tracking_uid)


def _check_place(segment: Segment, stored: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    subject = f"segment {segment.number}"
    agree(f"{subject}, voxels", int(stored[0]), segment.voxels)
    centres = stored[1:] / stored[0] * _RAS_FROM_LPS, expected[1:] / expected[0]
    for axis, written, wanted in zip("xyz", *centres, strict=True):
        agree_number(f"{subject}, {axis} of its centroid", written, wanted, tolerance=_SAME_PLACE_MM)


def _stored_frames(segmentation: Dataset) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return the voxels of each frame that are in a segment: its number, and where they lie in LPS+ millimetres."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    steps = np.stack([cosines[1] * spacing[0], cosines[0] * spacing[1]])  # from row to row, from column to column
    # All frames at once: pydicom's iter_pixels fails on some frames of one bit that do not end with a byte.
    stored = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for pixels, groups in zip(stored, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(pixels)
        numbers = pixels[rows, columns].astype(np.int64)
        if "SegmentIdentificationSequence" in groups:
            numbers[:] = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        yield numbers, corner + np.stack([rows, columns], axis=1) @ steps


def _stored_sums(segmentation: Dataset) -> Sums:
    sums: Sums = {}
    for numbers, places in _stored_frames(segmentation):
        for number in np.unique(numbers).tolist():
            inside = places[numbers == number]
            sums[number] = sums.get(number, np.zeros(4)) + np.array([len(inside), *inside.sum(axis=0)])
    return sums


def _check_voxels(findings: Findings, segmentation: Dataset) -> None:
    """Hold each stored voxel to the mask's voxel at its place; how many there are was compared before."""
    voxel_from_lps = np.linalg.inv(findings.mask.ras_from_voxel) @ np.diag([*_RAS_FROM_LPS, 1.0])
    lesions = np.array([0, *(segment.lesion for segment in findings.segments)])
    labels = np.array([0, *(segment.label for segment in findings.segments)])
    elsewhere = 0
    for numbers, places in _stored_frames(segmentation):
        voxels = np.rint(places @ voxel_from_lps[:3, :3].T + voxel_from_lps[:3, 3]).astype(np.int64)
        inside = ((voxels >= 0) & (voxels < findings.mask.shape)).all(axis=1)
        at = tuple(voxels[inside].T)
        same = (findings.lesion_map[at] == lesions[numbers[inside]]) & (
            findings.mask.voxels[at] == labels[numbers[inside]]
        )
        elsewhere += len(numbers) - int(same.sum())
    agree("stored voxels that lie where the mask has another label or lesion", elsewhere, 0)


def _expected_sums(findings: Findings) -> Sums:
    voxels = np.nonzero(findings.lesion_map)
    lesions, labels = findings.lesion_map[voxels], findings.mask.voxels[voxels]
    affine = findings.mask.ras_from_voxel
    sums: Sums = {}
    for segment in findings.segments:
        inside = (lesions == segment.lesion) & (labels == segment.label)
        count = inside.sum()
        place = affine[:3, :3] @ [axis[inside].sum() for axis in voxels] + count * affine[:3, 3]
        sums[segment.number] = np.array([count, *place], float)
    return sums
