import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tds_data
from tds_data import MissingDependency, VolumeReadError

LAZY = ("", ".cache", ".curation", ".datasets", ".formats", ".loading", ".phantoms", ".quality", ".raw")


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there(package: str) -> None:
    if package == ".loading":
        pytest.importorskip("torch")
    module = import_module(f"tds_data{package}")
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert dir(module) == sorted(module.__all__)


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
