import subprocess
import sys
import time
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tds_core.errors import ConfigError, TrackingUnavailable
from tds_core.training.tracking import FinishLimits, RunFacts, code_facts, machine_facts, open_tracker, replay
from tds_core.training.tracking import courier as courier_module
from tds_core.training.tracking import facts as facts_module
from tds_core.training.tracking import opening as opening_module
from tds_core.training.tracking.courier import Courier, waiting_bytes
from tds_core.training.tracking.journal import journal_path, read_records
from tds_core.training.tracking.positions import Position, save_position
from tds_core.training.tracking.records import Record
from tds_core.training.tracking.targets import Targets, local_store

from .conftest import MakeConfig

QUICK = FinishLimits(finished_s=0.2, stopped_s=0.1)


def lines(folder: Path) -> list[Record]:
    return [record for record, _ in read_records(journal_path(folder)) if record is not None]


@pytest.fixture(autouse=True)
def _everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name in packages else ModuleSpec(name, None)

    monkeypatch.setattr(opening_module, "find_spec", find)


def sleeper(monkeypatch: pytest.MonkeyPatch, code: str) -> list[int | None]:
    """Let a small program stand for the process that delivers; return the parents it is told."""
    parents: list[int | None] = []

    def start(_: Path, *, parent: int | None) -> "subprocess.Popen[bytes]":
        parents.append(parent)
        return subprocess.Popen([sys.executable, "-c", code])  # noqa: S603  # our own interpreter

    monkeypatch.setattr(courier_module, "start_delivery", start)
    monkeypatch.setattr(opening_module, "start_delivery", start)
    return parents


def test_a_run_begins_with_what_is_known_of_it(run_folder: Path, make_config: MakeConfig, facts: RunFacts) -> None:
    tracker = open_tracker(make_config(mlflow=False, tensorboard=False), run_folder, facts)
    tracker.finish("finished")
    run = lines(run_folder)[0]
    assert run.body["name"] == "demo (PHANTOM)"
    assert run.body["config"]["loss"] == {"name": "dice_ce"}
    tags = run.body["tags"]
    assert tags["tds.dataset_digest"] == "abc123"
    assert tags["tds.fold"] == "2"
    assert tags["mlflow.source.git.commit"] == tags["tds.code.commit"] == "f00d"
    assert tags["tds.phantom"] == "true"
    assert "not a medical device" in tags["mlflow.note.content"]
    assert "PHANTOM" in tags["tds.notice"]


def test_neither_passwords_nor_places_on_the_machine_are_noted(
    run_folder: Path, make_config: MakeConfig, facts: RunFacts
) -> None:
    data = {"datasets": [{"path": "/home/ada/BraTS"}, {"path": r"C:\Users\ada\LiTS"}], "cache": "~ada/cache"}
    tracked = replace(facts, config={"data": data, "tracking": {"mlflow_uri": "http://ada:secret@host:1"}})
    open_tracker(make_config(mlflow=False, tensorboard=False), run_folder, tracked).finish("finished")
    noted = journal_path(run_folder).read_text()
    assert "ada" not in noted
    assert "secret" not in noted
    assert all(name in noted for name in ("BraTS", "LiTS", "http://host:1"))


def test_a_resumed_run_keeps_its_identity(run_folder: Path, make_config: MakeConfig) -> None:
    config = make_config(mlflow=False, tensorboard=False)
    for resumed in (False, True):
        facts = RunFacts(name="demo", config={}, dataset_digest="d", resumed=resumed)
        open_tracker(config, run_folder, facts).finish("stopped")
    first, second = (r for r in lines(run_folder) if r.kind == "run")
    assert first.body["id"] == second.body["id"]
    assert [first.body["resumed"], second.body["resumed"]] == [False, True]
    assert first.body["name"] == "demo"
    assert first.body["tags"]["tds.fold"] == "none"
    assert "PHANTOM" not in first.body["tags"]["tds.notice"]


def test_the_default_store_lies_beside_the_run(run_folder: Path, make_config: MakeConfig) -> None:
    targets = opening_module.choose_targets(make_config(), run_folder)
    assert targets == Targets(mlflow_uri=local_store(run_folder), experiment="tds", tensorboard=True)


def test_missing_back_ends_are_told_once_and_left_out(
    run_folder: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without(monkeypatch, "mlflow", "tensorboard")
    targets = opening_module.choose_targets(make_config(), run_folder)
    assert targets.names == ()
    assert caplog.text.count("pip install 'tds-core[track]'") == 2


def test_a_server_without_mlflow_is_an_early_error(
    run_folder: Path, make_config: MakeConfig, facts: RunFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "mlflow")
    with pytest.raises(ConfigError, match=r"tracking\.mlflow_uri names a store.*tds-core\[track\]"):
        open_tracker(make_config(mlflow_uri="http://host"), run_folder, facts)
    assert not journal_path(run_folder).exists()


@pytest.mark.parametrize("name", ["a/b", "a:b", " "])
def test_a_model_name_that_the_registry_refuses_is_an_early_error(
    run_folder: Path, make_config: MakeConfig, name: str
) -> None:
    with pytest.raises(ConfigError, match=r"tracking\.register_model"):
        opening_module.choose_targets(make_config(register_model=name), run_folder)


def test_a_folder_that_cannot_be_written_turns_tracking_off(
    tmp_path: Path, make_config: MakeConfig, facts: RunFacts, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    tracker = open_tracker(make_config(), tmp_path / "file" / "run", facts)
    tracker.metrics(1, {"a": 1.0})
    tracker.finish("finished")
    assert "tracking_off" in caplog.text


def test_a_journal_is_let_go_when_the_targets_cannot_be_written(
    run_folder: Path, make_config: MakeConfig, facts: RunFacts, caplog: pytest.LogCaptureFixture
) -> None:
    (run_folder / "tracking" / "targets.json").mkdir(parents=True)
    open_tracker(make_config(), run_folder, facts).finish("finished")
    assert "tracking_off" in caplog.text


def test_the_end_waits_no_longer_than_it_may(
    run_folder: Path,
    make_config: MakeConfig,
    facts: RunFacts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sleeper(monkeypatch, "import time; time.sleep(60)")
    tracker = open_tracker(make_config(), run_folder, facts, limits=QUICK)
    start = time.monotonic()
    tracker.finish("stopped")
    assert time.monotonic() - start < 5
    assert "tracking_waits back_end=mlflow" in caplog.text
    assert "replay" in caplog.text


def test_a_delivery_that_cannot_be_started_is_told(
    run_folder: Path,
    make_config: MakeConfig,
    facts: RunFacts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    tracker = open_tracker(make_config(), run_folder, facts, limits=QUICK)
    tracker.finish("finished")
    assert "delivery_not_started" in caplog.text
    with pytest.raises(TrackingUnavailable, match="no Python interpreter"):
        replay(run_folder)


def test_delays_and_recoveries_are_told_once_and_a_dead_process_is_replaced(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parents = sleeper(monkeypatch, "")
    monkeypatch.setattr(courier_module, "_LOOK_S", 0.0)
    monkeypatch.setattr(courier_module, "_RESTART_S", 0.0)
    (run_folder / "tracking").mkdir()
    courier = Courier(run_folder, ("mlflow",))
    for problem in ("down", "down", "", ""):
        save_position(run_folder, "mlflow", Position(target="t", problem=problem))
        courier.look()
    assert caplog.text.count("tracking_delayed back_end=mlflow reason=down") == 1
    assert caplog.text.count("tracking_recovered") == 1
    assert parents
    assert courier.finish(10)


def test_looking_costs_nothing_most_of_the_time(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    courier = Courier(run_folder, ("mlflow",))
    monkeypatch.setattr(courier, "tell", lambda: pytest.fail("looked too early"))
    courier.look()


def test_how_much_waits_is_known(run_folder: Path, make_config: MakeConfig, facts: RunFacts) -> None:
    assert waiting_bytes(run_folder, ("mlflow",)) == {}
    open_tracker(make_config(mlflow=False, tensorboard=False), run_folder, facts).finish("finished")
    length = journal_path(run_folder).stat().st_size
    save_position(run_folder, "mlflow", Position(target="t", offset=length))
    assert waiting_bytes(run_folder, ("mlflow", "tensorboard")) == {"tensorboard": length}


def test_nothing_can_be_replayed_where_nothing_was_noted(tmp_path: Path) -> None:
    with pytest.raises(TrackingUnavailable, match=r"nothing to deliver.*name a run folder"):
        replay(tmp_path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "another process is delivering"),
        ("raise SystemExit(1)", r"mlflow has not got everything \(mlflow: down\)"),
        ("import time; time.sleep(60)", "has not got everything"),
    ],
)
def test_a_replay_that_does_not_work_says_why(
    run_folder: Path, make_config: MakeConfig, facts: RunFacts, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    parents = sleeper(monkeypatch, code)
    open_tracker(make_config(tensorboard=False), run_folder, facts, limits=QUICK).finish("failed")
    save_position(run_folder, "mlflow", Position(target="t", problem="down"))
    with pytest.raises(TrackingUnavailable, match=message):
        replay(run_folder, timeout_s=1.0)
    assert parents[-1] is None


def test_a_replay_that_works_returns(
    run_folder: Path, make_config: MakeConfig, facts: RunFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper(monkeypatch, "")
    open_tracker(make_config(), run_folder, facts, limits=QUICK).finish("failed")
    replay(run_folder)


def test_code_facts_name_versions_and_the_commit() -> None:
    known = code_facts()
    assert {"tds-core", "tds-data", "torch", "numpy"} <= set(known)
    assert "commit" not in known or len(known["commit"].removesuffix("-changed")) == 40


def test_code_facts_do_without_git_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(facts_module, "_OURS", ("no-such-package",))
    known = code_facts()
    assert "commit" not in known
    assert "no-such-package" not in known


def test_machine_facts_name_neither_machine_nor_user() -> None:
    known = machine_facts("cpu")
    assert known["device"] == "cpu"
    assert set(known) == {"device", "system", "python", "torch_threads"}
