import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom._acquisition import read_acquisition


@pytest.mark.parametrize(
    "taken",
    [
        {"AcquisitionDate": "20260131", "AcquisitionTime": "100000"},
        {"AcquisitionDateTime": "20260131100000"},
        {"AcquisitionDateTime": "20260131100000.5+0100"},
        {"AcquisitionTime": "100000"},
    ],
)
def test_acquisition_and_injection_are_on_one_clock(taken: dict[str, str]) -> None:
    header = Dataset()
    for keyword, value in taken.items():
        setattr(header, keyword, value)
    header.ContrastBolusStartTime = "101500"
    found = read_acquisition(header)
    assert found.taken_at_s is not None
    assert found.agent_given_at_s is not None
    assert found.agent_given_at_s - found.taken_at_s == pytest.approx(900, abs=1)
