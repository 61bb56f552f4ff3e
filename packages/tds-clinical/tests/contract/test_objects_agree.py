"""The geometry contract across objects: lesion by lesion the same volume, the same area and the same centre."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from tds_clinical.dicom.writing.segmentation import build_segmentation
from tds_clinical.dicom.writing.structure_set import build_structure_set
from tds_clinical.dicom.writing.structured_report import build_structured_report

from .cases import SHAPES, ContractCase, contract_cases
from .readers import read_with_pydicom
from .test_geometry_contract import Written, assert_same_centroid, written
from .test_structured_report_contract import VOLUME, read_groups

CASES = contract_cases(sorted(SHAPES.keys() - {"speckle"}))  # a report on a hundred lesions takes seconds
ONE_PER_CENT = 0.01

Moments = tuple[float, NDArray[np.float64]]
"""Volume in mm³ and centre in RAS+ millimetres."""


def moments_of_outlines(path: Path, slice_mm: float) -> Mapping[int, Moments]:
    """Return what the polygons of each region enclose, by the shoelace formula in three dimensions."""
    found = {}
    for item in pydicom.dcmread(path).ROIContourSequence:
        area, moment = 0.0, np.zeros(3)
        for contour in item.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3) * (-1, -1, 1)
            edges = points - points[0]
            normals = np.cross(edges[:-1], edges[1:]) / 2
            whole = np.linalg.norm(normals.sum(axis=0))
            shares = normals @ (normals.sum(axis=0) / whole)
            centres = (points[0] + points[:-1] + points[1:]) / 3
            area += whole
            moment += shares @ centres
        found[int(item.ReferencedROINumber)] = (area * slice_mm, moment / area)
    return found


def moments_of_voxels(study: Written, path: Path) -> Mapping[int, Moments]:
    voxel_mm3 = abs(float(np.linalg.det(study.case.ras_from_voxel[:3, :3])))
    return {n: (len(points) * voxel_mm3, points.mean(axis=0)) for n, points in read_with_pydicom(path).items()}


def volumes_of_report(path: Path) -> Mapping[int, float]:
    groups = read_groups(pydicom.dcmread(path))
    return {group.segment: 1000 * group.numbers[VOLUME] for group in groups if group.segment is not None}


def together(moments: Mapping[int, Moments], numbers: list[int]) -> Moments:
    volumes = np.array([moments[n][0] for n in numbers])
    return float(volumes.sum()), volumes @ [moments[n][1] for n in numbers] / volumes.sum()


def check_agreement(case: ContractCase, shift_mm: float = 0.0) -> None:
    with written(case) as study:
        segmentation = build_segmentation(study.context)
        structures = build_structure_set(study.context, segmentation)
        for item in structures.ROIContourSequence if shift_mm else ():
            for contour in item.ContourSequence:
                moved = np.array(contour.ContourData, float).reshape(-1, 3) + np.array((shift_mm, 0.0, 0.0))
                contour.ContourData = [round(value, 6) for value in moved.ravel().tolist()]
        report = build_structured_report(study.context, segmentation)
        voxels = moments_of_voxels(study, study.save(segmentation, "seg.dcm"))
        slice_mm = float(np.linalg.norm(case.ras_from_voxel[:3, 2]))
        outlines = moments_of_outlines(study.save(structures, "rtstruct.dcm"), slice_mm)
        volumes = volumes_of_report(study.save(report, "sr.dcm"))
        assert voxels.keys() == outlines.keys() == volumes.keys()
        for number, (volume_mm3, centre) in voxels.items():
            assert outlines[number][0] == pytest.approx(volume_mm3, rel=ONE_PER_CENT)
            assert_same_centroid(outlines[number][1], centre)
            assert volumes[number] == pytest.approx(volume_mm3, rel=1e-6, abs=1e-6)
        for lesion in study.context.findings.report.lesions:
            numbers = [s.number for s in study.context.findings.segments if s.lesion == lesion.number]
            true = case.places(case.lesions == lesion.number).mean(axis=0)
            assert_same_centroid(together(voxels, numbers)[1], true)
            assert_same_centroid(together(outlines, numbers)[1], true)
            assert_same_centroid(np.array(lesion.centroid_mm), true)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_segmentation_structure_set_and_report_agree(case: ContractCase) -> None:
    check_agreement(case)


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_segmentation_structure_set_and_report_agree_in_two_thousand_cases(case: ContractCase) -> None:
    check_agreement(case)


def test_outlines_a_fifth_of_a_millimetre_off_are_found() -> None:
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[1:4, 2:4, 1:3] = 2
    case = ContractCase(labels=labels, ras_from_voxel=np.diag([-1.0, -1.0, 2.0, 1.0]))
    check_agreement(case)
    with pytest.raises(AssertionError):
        check_agreement(case, shift_mm=0.2)
