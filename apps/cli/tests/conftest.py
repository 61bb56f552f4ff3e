import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_cli.demonstration import write_brats
from tds_cli.main import run
from tds_data import Case, PhantomConfig, make_phantom


@pytest.fixture(scope="session")
def phantom() -> Case:
    return make_phantom(PhantomConfig(seed=7, spacing_mm=3.0))


@pytest.fixture(scope="session")
def phantom_folder(phantom: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "patient"
    write_brats(phantom, folder)
    return folder


@pytest.fixture
def study(phantom_folder: Path, tmp_path: Path) -> Path:
    """A copy of the phantom's files that a test may damage."""
    folder = tmp_path / "patient"
    shutil.copytree(phantom_folder, folder)
    return folder


@pytest.fixture
def tds(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def real_patient() -> Path:
    data = os.environ.get("TDS_REAL_DATA")
    folder = Path(data or ".") / "brats" / "BraTS2021_00003"
    if not data or not folder.is_dir():
        pytest.skip("real patients are absent: set TDS_REAL_DATA to their folder")
    return folder
