"""The geometry contract: whatever a study's geometry, results lie on the voxels that were segmented.

See docs/explanation/geometry-contract.md.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tds_clinical.dicom import read_series, read_series_headers, read_source
from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.testing import (
    ClassicSeriesOptions,
    EnhancedSeriesOptions,
    MosaicSeriesOptions,
    write_classic_series,
    write_enhanced_series,
    write_mosaic_series,
)
from tds_clinical.uids import Uids
from tds_data.volume import Volume

from .cases import ContractCase, Storage, contract_cases
from .readers import (
    Points,
    read_source_with_simpleitk,
    read_with_dcmqi,
    read_with_highdicom,
    read_with_pydicom,
    read_with_tds,
    voxels_of_source,
)

SAME_PLACE_MM = 1e-3
CENTROID_MM = 0.1
CASES = contract_cases(storages=list(Storage))
KINDS = st.sampled_from(list(SegmentationKind))


@dataclass(frozen=True, kw_only=True)
class Written:
    """A study on disk and what its results say."""

    case: ContractCase
    folder: Path
    context: ResultContext

    def save(self, dataset: pydicom.Dataset, name: str) -> Path:
        path = self.folder.parent / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    def segments(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """The truth: the voxels of each segment on the grid that the study was written on."""
        for segment in self.context.findings.segments:
            yield segment.number, (self.case.lesions == segment.lesion) & (self.case.labels == segment.label)


def write_series(case: ContractCase, folder: Path) -> None:
    classic = ClassicSeriesOptions(reverse_slices=case.reverse_slices, shuffle=case.shuffle)
    if case.storage is Storage.CLASSIC:
        write_classic_series(case.image, folder, classic)
    elif case.storage is Storage.MOSAIC:
        options = MosaicSeriesOptions(series=classic, reverse_tiles=case.reverse_slices)
        write_mosaic_series([case.image], folder, options)
    else:
        enhanced = EnhancedSeriesOptions(
            legacy=case.storage is Storage.LEGACY,
            shuffle=case.shuffle,
            geometry_per_frame=case.geometry_per_frame,
        )
        write_enhanced_series([case.image], folder / "image.dcm", enhanced)


@contextmanager
def written(case: ContractCase) -> Iterator[Written]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "series"
        write_series(case, folder)
        (series,) = read_series_headers(folder)
        image, source = read_series(series), read_source(series)
        if case.own_geometry:
            source = replace(source, frames=None)
        # The image's voxels hold their own numbers, so that the mask follows them, not any affine.
        mask = Volume(case.labels.ravel()[image.voxels.astype(np.intp)], source.ras_from_voxel)
        uids = Uids("contract")
        findings = find_findings(mask, case.report(), uids)
        made_at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
        context = ResultContext(source=source, findings=findings, uids=uids, made_at=made_at)
        yield Written(case=case, folder=folder, context=context)


def assert_on_the_voxels(study: Written, found: Mapping[int, Points]) -> None:
    """Every voxel of every segment is found once, at its place, and so is each centroid."""
    voxel_from_ras = np.linalg.inv(study.case.ras_from_voxel)
    truth = dict(study.segments())
    assert found.keys() == truth.keys()
    for number, where in truth.items():
        indices = np.rint(found[number] @ voxel_from_ras[:3, :3].T + voxel_from_ras[:3, 3]).astype(int)
        assert sorted(map(tuple, indices.tolist())) == sorted(map(tuple, np.argwhere(where).tolist()))
        there = indices @ study.case.ras_from_voxel[:3, :3].T + study.case.ras_from_voxel[:3, 3]
        assert np.linalg.norm(there - found[number], axis=1).max() < SAME_PLACE_MM
        assert_same_centroid(found[number].mean(axis=0), study.case.places(where).mean(axis=0))


def assert_same_centroid(found: NDArray[np.float64], true: NDArray[np.float64]) -> None:
    assert np.linalg.norm(found - true) < CENTROID_MM


def assert_on_the_pictures(study: Written, path: Path) -> None:
    """Laid over the images that its frames name, each segment covers its own voxels and no others."""
    covered = voxels_of_source(path, study.folder)
    assert covered == {n: set(np.flatnonzero(where.ravel()).tolist()) for n, where in study.segments()}


def assert_source_as_itk_reads_it(study: Written) -> None:
    """ITK puts the voxels of the source where the study says, so that its viewers agree with ours."""
    numbers, ras_from_voxel = read_source_with_simpleitk(study.folder)
    places = np.argwhere(numbers >= 0) @ ras_from_voxel[:3, :3].T + ras_from_voxel[:3, 3]
    indices = np.stack(np.unravel_index(numbers.ravel(), study.case.labels.shape), axis=1)
    true = indices @ study.case.ras_from_voxel[:3, :3].T + study.case.ras_from_voxel[:3, 3]
    assert np.linalg.norm(places - true, axis=1).max() < SAME_PLACE_MM


def check_segmentation(
    case: ContractCase, kind: SegmentationKind, spoil: Callable[[pydicom.Dataset], None] | None = None
) -> None:
    with written(case) as study:
        dataset = build_segmentation(study.context, kind=kind)
        if spoil is not None:
            spoil(dataset)
        path = study.save(dataset, "seg.dcm")
        for read in (read_with_pydicom, read_with_highdicom, read_with_tds):
            assert_on_the_voxels(study, read(path))
        if study.context.source.frames is not None:
            assert_on_the_pictures(study, path)
        if case.storage is Storage.CLASSIC:  # ITK reads no mosaics, and frames in the order in which they are stored
            assert_source_as_itk_reads_it(study)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES, kind=KINDS)
def test_a_segmentation_lies_on_the_voxels_that_were_segmented(case: ContractCase, kind: SegmentationKind) -> None:
    check_segmentation(case, kind)


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES, kind=KINDS)
def test_two_thousand_segmentations_lie_on_the_voxels_that_were_segmented(
    case: ContractCase, kind: SegmentationKind
) -> None:
    check_segmentation(case, kind)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES, kind=KINDS)
def test_dcmqi_finds_a_segmentation_on_the_voxels_that_were_segmented(
    case: ContractCase, kind: SegmentationKind
) -> None:
    with written(case) as study:
        path = study.save(build_segmentation(study.context, kind=kind), "seg.dcm")
        assert_on_the_voxels(study, read_with_dcmqi(path))
