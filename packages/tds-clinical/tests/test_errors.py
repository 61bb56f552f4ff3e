from pathlib import Path

import pytest

import tds_clinical
from tds_clinical import errors
from tds_clinical.errors import DicomReadError, DicomWriteError, FolderNotReadable
from tds_data.vocabulary import Modality

PATIENT_FILE = Path("/archive/Doe^Jane/0815/IM1.dcm")


def test_every_error_has_one_root_and_is_public() -> None:
    leaves = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, errors.ClinicalError)}
    assert leaves == set(tds_clinical.__all__)


@pytest.mark.parametrize("error", [errors.DicomReadError, errors.DicomWriteError, errors.FolderNotReadable])
def test_messages_leave_the_folders_of_a_path_out(
    error: type[DicomReadError | DicomWriteError | FolderNotReadable],
) -> None:
    raised = error(PATIENT_FILE, "it is broken")
    assert raised.path == PATIENT_FILE
    assert "it is broken" in str(raised)
    assert "Doe" not in str(raised)
    assert "0815" not in str(raised)


def test_errors_carry_what_a_caller_needs() -> None:
    gap = errors.IncompleteSeries("series 3", gap_mm=8.0, expected_mm=4.0, after_slice=2)
    assert (gap.gap_mm, gap.expected_mm, gap.series) == (8.0, 4.0, "series 3")
    assert "between slices 2 and 3" in str(gap)
    ambiguous = errors.AmbiguousSeries(Modality.T1, ("series 3", "series 4"))
    assert ambiguous.modality is Modality.T1
    assert "series 3, series 4" in str(ambiguous)
