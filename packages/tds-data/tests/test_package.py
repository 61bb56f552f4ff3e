import subprocess
import sys
from pathlib import Path

import pytest

import tds_data
from tds_data import MissingDependency, VolumeReadError


def test_every_public_name_is_there() -> None:
    assert all(getattr(tds_data, name) is not None for name in tds_data.__all__)
    assert dir(tds_data) == sorted(tds_data.__all__)
    named = {name for names in tds_data._HOMES.values() for name in names}
    assert named == set(tds_data.__all__)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = tds_data.absent


def test_vocabulary_and_report_need_no_numpy() -> None:
    code = "import sys; from tds_data import Modality, LesionReport, DataError; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # our own code


def test_errors_name_the_file_but_not_its_folder() -> None:
    error = VolumeReadError(Path("/patients/doe/t1.nii"), "why")
    assert str(error) == "cannot read 't1.nii': why"
    assert isinstance(error, ValueError)


def test_missing_extra_is_named() -> None:
    error = MissingDependency("nilearn", "phantom")
    assert "tds-data[phantom]" in str(error)
    assert (error.package, error.extra) == ("nilearn", "phantom")
