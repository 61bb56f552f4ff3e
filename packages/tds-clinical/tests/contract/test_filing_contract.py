"""Results of any study are filed: what compares them before raises no false alarm, and misses no mirrored mask."""

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings

from tds_clinical.dicom.writing import filing
from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation
from tds_clinical.errors import ResultsDisagree

from .cases import SHAPES, ContractCase, Storage, contract_cases
from .test_geometry_contract import written
from .test_the_contract_bites import lopsided

CASES = contract_cases(sorted(SHAPES.keys() - {"speckle"}), tuple(Storage))  # a hundred lesions take seconds


def file_all(case: ContractCase) -> None:
    with written(case) as study:
        for kind in SegmentationKind:
            folder = study.folder.parent / kind
            options = filing.FilingOptions(segmentation=kind)
            references = filing.write_results(folder, study.context, pdf=b"%PDF-1.4", options=options)
            assert [reference.kind for reference in references] == ["seg", "rtstruct", "report", "sr"]
            assert pydicom.dcmread(folder / "seg.dcm").SegmentationType == kind


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CASES)
def test_results_of_any_study_are_filed(case: ContractCase) -> None:
    file_all(case)


@pytest.mark.exhaustive
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CASES)
def test_results_of_a_thousand_studies_are_filed(case: ContractCase) -> None:
    file_all(case)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_segmentation_whose_rows_or_columns_are_mirrored_is_not_filed(
    monkeypatch: pytest.MonkeyPatch, axis: int
) -> None:
    def mirrored(context: object, *, kind: SegmentationKind) -> pydicom.Dataset:
        dataset = build_segmentation(context, kind=kind)  # type: ignore[arg-type]  # whatever it is given
        pixels = np.flip(dataset.pixel_array, axis)
        data = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        return dataset

    monkeypatch.setattr(filing, "build_segmentation", mirrored)
    with written(lopsided()) as study:
        folder = study.folder.parent / "results"
        with pytest.raises(ResultsDisagree, match=r"segment \d, [xyz] of its centroid"):
            filing.write_results(folder, study.context, pdf=None)
        assert not folder.exists()
