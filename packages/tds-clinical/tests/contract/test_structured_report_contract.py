"""The geometry contract of structured reports: what they say of a lesion is true of the voxels that were segmented."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing.segmentation import build_segmentation
from tds_clinical.dicom.writing.structured_report import build_structured_report
from tds_data.vocabulary import REGION_LABELS, Region

from .cases import SHAPES, ContractCase, contract_cases
from .readers import read_with_pydicom
from .test_geometry_contract import Written, assert_same_centroid, written
from .test_the_contract_bites import lopsided

MEASUREMENT_GROUP, TRACKING_ID, TRACKING_UID, SEGMENT = "125007", "112039", "112040", "121191"
VOLUME, LONG_AXIS, SHORT_AXIS = "118565006", "103339001", "103340004"
# Lines end on the outline, halfway between voxels inside and outside; where voxels touch by a corner alone it bridges
# them and leaves them by as much as a quarter more.
FROM_A_CENTRE = 0.75 + 1e-3
RAS_FROM_LPS = (-1, -1, 1)
CASES = contract_cases(sorted(SHAPES.keys() - {"speckle"}))  # a report on a hundred lesions takes seconds


@dataclass(frozen=True, kw_only=True)
class Group:
    """A measurement group, by the elements of the file."""

    name: str
    uid: str
    segment: int | None
    segmentation: str | None
    numbers: dict[str, float]
    lines: dict[str, tuple[str, NDArray[np.float64]]]


def read_groups(dataset: Dataset) -> Iterator[Group]:
    for item in _nested(dataset):
        if item.ValueType == "CONTAINER" and _concept(item) == MEASUREMENT_GROUP:
            yield _group(item)


def _nested(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _nested(child)


def _concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def _group(item: Dataset) -> Group:
    children = {_concept(child): child for child in item.ContentSequence}
    reference = children[SEGMENT].ReferencedSOPSequence[0] if SEGMENT in children else None
    numbers = {n: child for n, child in children.items() if child.ValueType == "NUM"}
    return Group(
        name=children[TRACKING_ID].TextValue,
        uid=children[TRACKING_UID].UID,
        segment=None if reference is None else int(reference.ReferencedSegmentNumber),
        segmentation=None if reference is None else reference.ReferencedSOPInstanceUID,
        numbers={n: float(child.MeasuredValueSequence[0].NumericValue) for n, child in numbers.items()},
        lines={
            n: (grand.ReferencedFrameOfReferenceUID, np.reshape(grand.GraphicData, (-1, 3)) * RAS_FROM_LPS)
            for n, child in numbers.items()
            for grand in child.get("ContentSequence", [])
            if grand.ValueType == "SCOORD3D"
        },
    )


def region_of(study: Written, group: Group) -> NDArray[np.bool_]:
    """Return the voxels of the region that a group is named after, such as `lesion-1/WT`."""
    lesion, region = group.name.removeprefix("lesion-").split("/")
    labels = list(REGION_LABELS[Region[region]])
    return np.asarray((study.case.lesions == int(lesion)) & np.isin(study.case.labels, labels))


def assert_ends_on_voxels(study: Written, ends: NDArray[np.float64], where: NDArray[np.bool_]) -> None:
    """Both ends of a line lie on the outline of the region."""
    voxel_from_ras = np.linalg.inv(study.case.ras_from_voxel)
    indices = ends @ voxel_from_ras[:3, :3].T + voxel_from_ras[:3, 3]
    away = np.abs(indices[:, None] - np.argwhere(where)[None]).max(axis=2)
    assert away.min(axis=1).max() < FROM_A_CENTRE


def check_report(case: ContractCase, spoil: Callable[[Dataset], None] | None = None) -> None:
    with written(case) as study:
        segmentation = build_segmentation(study.context)
        built = build_structured_report(study.context, segmentation)
        if spoil is not None:
            spoil(built)
        groups = list(read_groups(pydicom.dcmread(study.save(built, "sr.dcm"))))
        found = read_with_pydicom(study.save(segmentation, "seg.dcm"))
        described = {int(item.SegmentNumber): item for item in segmentation.SegmentSequence}
        ml = abs(float(np.linalg.det(case.ras_from_voxel[:3, :3]))) / 1000
        truth = dict(study.segments())
        assert {group.segment for group in groups if group.segment is not None} == truth.keys()
        for group in groups:
            if group.segment is not None:
                where = truth[group.segment]
                assert group.segmentation == segmentation.SOPInstanceUID
                assert group.uid == described[group.segment].TrackingUID
                assert_same_centroid(found[group.segment].mean(axis=0), case.places(where).mean(axis=0))
            elif group.name.startswith("lesion-"):
                where = region_of(study, group)
                assert {LONG_AXIS, SHORT_AXIS} <= group.lines.keys()
            else:
                continue
            assert group.numbers[VOLUME] == pytest.approx(where.sum() * ml, rel=1e-6, abs=1e-9)
            for name, (frame_of_reference, ends) in group.lines.items():
                assert frame_of_reference == segmentation.FrameOfReferenceUID
                assert_ends_on_voxels(study, ends, where)
                length_mm = float(np.linalg.norm(ends[1] - ends[0]))
                assert group.numbers[name] == pytest.approx(length_mm, rel=1e-4, abs=1e-3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_a_structured_report_speaks_of_the_voxels_that_were_segmented(case: ContractCase) -> None:
    check_report(case)


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_two_thousand_structured_reports_speak_of_the_voxels_that_were_segmented(case: ContractCase) -> None:
    check_report(case)


def _mirror_lines(built: Dataset) -> None:
    for item in _nested(built):
        if item.ValueType == "SCOORD3D":
            x, y, z, *others = item.GraphicData
            item.GraphicData = [-x, y, z, *others]


def _refer_to_neighbours(built: Dataset) -> None:
    references = [item.ReferencedSOPSequence[0] for item in _nested(built) if _concept(item) == SEGMENT]
    numbers = [reference.ReferencedSegmentNumber for reference in references]
    for reference, number in zip(references, [numbers[-1], *numbers[:-1]], strict=True):
        reference.ReferencedSegmentNumber = number


@pytest.mark.parametrize("mistake", [_mirror_lines, _refer_to_neighbours])
def test_the_contract_of_reports_fails_on(mistake: Callable[[Dataset], None]) -> None:
    with pytest.raises(AssertionError):
        check_report(lopsided(), mistake)
