"""The geometry contract of structure sets: their outlines are the voxels that were segmented, and give them back."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tds_clinical.dicom.reading_structures import read_structure_set, structures_as_labels
from tds_clinical.dicom.writing.contours import HoleStyle
from tds_clinical.dicom.writing.structure_set import build_structure_set

from .cases import ContractCase, Storage, contract_cases
from .structure_readers import covered_by_rt_utils, covered_in_the_itk_volume, covered_on_the_images_named
from .test_geometry_contract import Written, written

CASES = contract_cases(storages=list(Storage))
HOLES = st.sampled_from(list(HoleStyle))


def truth(study: Written) -> Mapping[int, set[int]]:
    return {number: set(np.flatnonzero(where.ravel()).tolist()) for number, where in study.segments()}


def check_structure_set(case: ContractCase, holes: HoleStyle, spoil: Callable[[Dataset], None] | None = None) -> None:
    with written(case) as study:
        dataset = build_structure_set(study.context, holes=holes)
        if spoil is not None:
            spoil(dataset)
        path = study.save(dataset, "rtstruct.dcm")
        structures = read_structure_set(path, study.context.source)
        assert [structure.number for structure in structures] == [s.number for s in study.context.findings.segments]
        for structure, segment in zip(structures, study.context.findings.segments, strict=True):
            assert (structure.label, structure.tracking_uid) == (segment.label, segment.tracking_uid)
            np.testing.assert_array_equal(structure.volume.voxels, study.context.findings.voxels_of(segment))
        labels = structures_as_labels(structures)
        assert labels.same_grid(study.context.findings.mask)
        np.testing.assert_array_equal(labels.voxels, study.context.findings.mask.voxels)
        if study.context.source.frames is not None:
            assert covered_on_the_images_named(path, study.folder) == truth(study)
        if case.storage is Storage.CLASSIC:  # ITK reads no mosaics, and frames in the order in which they are stored
            assert covered_in_the_itk_volume(path, study.folder) == truth(study)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES, holes=HOLES)
def test_a_structure_set_outlines_the_voxels_that_were_segmented(case: ContractCase, holes: HoleStyle) -> None:
    check_structure_set(case, holes)


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES, holes=HOLES)
def test_two_thousand_structure_sets_outline_the_voxels_that_were_segmented(
    case: ContractCase, holes: HoleStyle
) -> None:
    check_structure_set(case, holes)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=contract_cases(), holes=HOLES)
def test_rt_utils_finds_the_voxels_that_were_segmented(case: ContractCase, holes: HoleStyle) -> None:
    with written(_square(case)) as study:
        path = study.save(build_structure_set(study.context, holes=holes), "rtstruct.dcm")
        assert covered_by_rt_utils(path, study.folder) == truth(study)


def _square(case: ContractCase) -> ContractCase:
    """Return a study of square pictures with square pixels, because rt-utils takes rows for columns in any other."""
    columns, rows, _ = case.labels.shape
    size = max(columns, rows)
    affine = case.ras_from_voxel.copy()
    affine[:, 1] *= np.linalg.norm(affine[:, 0]) / np.linalg.norm(affine[:, 1])
    labels = np.pad(case.labels, ((0, size - columns), (0, size - rows), (0, 0)))
    return replace(case, labels=labels, ras_from_voxel=affine, own_geometry=False)
