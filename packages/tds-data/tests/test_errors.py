import pickle
from pathlib import Path

import pytest

from tds_data import errors
from tds_data.report import QualityFlag, Severity

FLAG = QualityFlag(code="CODE", severity=Severity.ERROR, message="why", value="1")
FAILURES = (
    errors.VolumeReadError(Path("a/t1.nii"), "why"),
    errors.VolumeWriteError(Path("a/t1.nii"), "the disk is full"),
    errors.RefusedStudy((FLAG,)),
    errors.MissingDependency("nilearn", "phantom"),
    errors.DamagedCache(Path("c/x.tdscase"), "cut short"),
    errors.UnusableCase("case", "why"),
    errors.WorkerDied(-9, 3),
    errors.BudgetTooSmall(1, 2),
    errors.GeometryError("why"),
)


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_errors_pass_between_processes_whole(error: errors.DataError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
