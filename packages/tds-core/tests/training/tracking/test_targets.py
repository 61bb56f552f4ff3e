import stat
from pathlib import Path

import pytest

from tds_core.training.tracking.positions import Position, load_position, save_position
from tds_core.training.tracking.targets import TARGETS_NAME, Targets, address_tag, local_store, without_credentials


def test_targets_come_back_and_only_the_owner_can_read_them(run_folder: Path) -> None:
    (run_folder / "tracking").mkdir()
    targets = Targets(mlflow_uri="http://u:p@host", experiment="tds", tensorboard=True)
    targets.save(run_folder)
    assert Targets.load(run_folder) == targets
    assert stat.S_IMODE((run_folder / "tracking" / TARGETS_NAME).stat().st_mode) == 0o600
    assert targets.names == ("mlflow", "tensorboard")
    assert Targets(mlflow_uri=None, experiment="tds", tensorboard=False).names == ()


def test_garbled_targets_are_an_error(run_folder: Path) -> None:
    (run_folder / "tracking").mkdir()
    (run_folder / "tracking" / TARGETS_NAME).write_text('{"other": 1}')
    with pytest.raises(ValueError, match="lacks or garbles"):
        Targets.load(run_folder)


def test_the_local_store_lies_beside_the_run_folder(tmp_path: Path) -> None:
    assert local_store(tmp_path / "runs" / "a") == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_an_address_is_known_without_its_password() -> None:
    assert without_credentials("see https://u:p@h/x and http://h") == "see https://h/x and http://h"
    assert without_credentials("https://u:p@ss@h/x?to=a@b") == "https://h/x?to=a@b"
    assert without_credentials("https://h/x@y and https://h?to=a@b") == "https://h/x@y and https://h?to=a@b"
    assert address_tag("http://u:p@h") == address_tag("http://h") != address_tag("http://other")


def test_a_position_that_cannot_be_read_is_unknown(run_folder: Path) -> None:
    assert load_position(run_folder, "mlflow") is None
    (run_folder / "tracking").mkdir()
    save_position(run_folder, "mlflow", Position(target="t", offset=7))
    assert load_position(run_folder, "mlflow") == Position(target="t", offset=7)
    (run_folder / "tracking" / "mlflow.position.json").write_text("")
    assert load_position(run_folder, "mlflow") is None
