import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tds_core.bundle import DEFAULT_BUNDLE, load_bundle
from tds_core.training.tracking.courier import start_delivery
from tds_core.training.tracking.delivery import Delivery
from tds_core.training.tracking.journal import Journal
from tds_core.training.tracking.mlflow_registry import SHA256_TAG
from tds_core.training.tracking.mlflow_sink import RUN_TAG, MlflowSink, artefact_folder
from tds_core.training.tracking.positions import save_position
from tds_core.training.tracking.records import Record
from tds_core.training.tracking.registry_entry import registry_tags
from tds_core.training.tracking.targets import Targets

from .conftest import metric, run_record

# MLflow 3 uses what SQLAlchemy 2.1 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Note = Callable[[list[Record]], None]


def carrier(folder: Path, store: str, experiment: str = "tds") -> Delivery:
    targets = Targets(mlflow_uri=store, experiment=experiment, tensorboard=False)
    return Delivery(folder, MlflowSink(folder, targets), "t")


def deliver(folder: Path, store: str) -> None:
    delivery = carrier(folder, store)
    assert delivery.drain(), delivery.problem
    delivery.close()


def runs(store: str) -> list[Run]:
    client = MlflowClient(store)
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


def history(store: str, name: str) -> list[tuple[int, float]]:
    (run,) = runs(store)
    return sorted((m.step, m.value) for m in MlflowClient(store).get_metric_history(run.info.run_id, name))


def files(store: str) -> Path:
    (run,) = runs(store)
    return Path(urlsplit(run.info.artifact_uri or "").path)


def test_a_run_is_written_down_with_its_configuration_and_tags(run_folder: Path, store: str, note: Note) -> None:
    note([run_record(config={"loss": {"name": "dice_ce"}, "long": "x" * 1200}), metric(3, 1234, loss=0.5)])
    deliver(run_folder, store)
    (run,) = runs(store)
    assert run.info.run_name == "demo (PHANTOM)"
    assert run.info.status == "RUNNING"
    assert run.data.params["loss.name"] == "dice_ce"
    assert "".join(v for k, v in sorted(run.data.params.items()) if k.startswith("long")) == "x" * 1200
    assert run.data.tags["tds.phantom"] == "true"
    assert "not a medical device" in run.data.tags["tds.notice"]
    assert run.data.tags[RUN_TAG] == "run-1"
    (point,) = MlflowClient(store).get_metric_history(run.info.run_id, "loss")
    assert (point.step, point.value, point.timestamp) == (3, 0.5, 1234)
    assert yaml.safe_load((files(store) / "config" / "config.yaml").read_text())["loss"] == {"name": "dice_ce"}
    assert files(store).is_relative_to(run_folder.parent / "mlflow-artefacts")


def test_a_finished_run_that_goes_on_is_the_same_run(run_folder: Path, store: str, note: Note) -> None:
    finish = Record(kind="finish", time_ms=7, body={"status": "stopped"})
    note([run_record(), metric(1, loss=1.0), finish])
    deliver(run_folder, store)
    assert runs(store)[0].info.status == "KILLED"
    note([run_record(config={"loss": {"name": "focal"}, "new": 1}, resumed=True), metric(2, loss=2.0)])
    deliver(run_folder, store)
    (run,) = runs(store)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"loss.name": "dice_ce", "new": "1"}
    assert run.data.tags["tds.changed/loss.name"] == "focal"
    assert history(store, "loss") == [(1, 1.0), (2, 2.0)]
    note([Record(kind="finish", time_ms=8, body={"status": "early"})])
    deliver(run_folder, store)
    assert runs(store)[0].info.status == "FINISHED"


def test_what_is_sent_twice_is_there_once(run_folder: Path, store: str, note: Note) -> None:
    note([run_record(), *(metric(n, n, loss=float(n), odd="NaN", most="Infinity") for n in range(1, 8))])
    deliver(run_folder, store)
    (run_folder / "tracking" / "mlflow.position.json").unlink()
    deliver(run_folder, store)
    assert history(store, "loss") == [(n, float(n)) for n in range(1, 8)]
    (run,) = runs(store)
    odd = MlflowClient(store).get_metric_history(run.info.run_id, "odd")
    assert len(odd) == 7
    assert math.isnan(odd[0].value)
    assert len(history(store, "most")) == 7


def test_a_run_whose_name_was_not_noted_is_found_again(run_folder: Path, store: str, note: Note) -> None:
    note([run_record()])
    delivery = carrier(run_folder, store)
    before = delivery._position
    assert delivery.drain()
    save_position(run_folder, "mlflow", before)  # killed after the run was made
    deliver(run_folder, store)
    assert len(runs(store)) == 1


def test_a_store_that_was_replaced_gets_everything(run_folder: Path, store: str, note: Note, empty_store: Path) -> None:
    note([run_record(), metric(1, loss=1.0)])
    delivery = carrier(run_folder, store)
    assert delivery.drain()
    (client := MlflowClient(store)).delete_run(runs(store)[0].info.run_id)
    with sqlite3.connect(run_folder.parent / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"delete from {table}")  # noqa: S608  # names of this test
    database.close()
    assert client.search_experiments()
    assert empty_store.exists()
    note([metric(2, loss=2.0)])
    assert not delivery.drain()
    assert delivery.drain(), delivery.problem
    assert history(store, "loss") == [(1, 1.0), (2, 2.0)]


def test_numbers_for_a_run_that_was_deleted_are_refused_and_counted(run_folder: Path, store: str, note: Note) -> None:
    note([run_record(), metric(1, loss=1.0)])
    delivery = carrier(run_folder, store)
    assert delivery.drain()
    MlflowClient(store).delete_run(runs(store)[0].info.run_id)
    note([metric(2, loss=2.0, rate=1.0)])
    assert delivery.drain(), delivery.problem
    assert delivery._position.refused == 2


def test_events_and_pictures_are_files_by_name_and_step(run_folder: Path, store: str, note: Note) -> None:
    records = [run_record()]
    for step in (5, 10):
        file = run_folder / "tracking" / f"step-{step:06d}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"png")
        body = {"name": "case-0-axial", "file": f"tracking/{file.name}"}
        records.append(Record(kind="picture", time_ms=1, step=step, body=body))
        records.append(
            Record(kind="event", time_ms=step, step=step, body={"name": "rolled_back", "values": {"n": step}})
        )
    note(records)
    deliver(run_folder, store)
    shown = files(store) / "overlays" / "case-0-axial"
    assert sorted(p.name for p in shown.iterdir()) == ["step-000005.png", "step-000010.png"]
    lines = [json.loads(line) for line in (files(store) / "events.jsonl").read_text().splitlines()]
    assert [(line["step"], line["event"], line["n"]) for line in lines] == [
        (5, "rolled_back", 5),
        (10, "rolled_back", 10),
    ]
    assert history(store, "events/rolled_back") == [(5, 1.0), (10, 1.0)]


def test_folders_and_files_are_kept_and_what_is_gone_is_counted(run_folder: Path, store: str, note: Note) -> None:
    (run_folder / "plan").mkdir()
    (run_folder / "plan" / "plan.yaml").write_text("a: 1")
    names = ("plan", "plan/plan.yaml", "gone.yaml")
    note([run_record(), *(Record(kind="artefact", time_ms=1, body={"name": "p", "path": path}) for path in names)])
    delivery = carrier(run_folder, store)
    assert delivery.drain()
    assert delivery._position.refused == 1
    assert (files(store) / "p" / "plan.yaml").read_text() == "a: 1"


def test_a_clock_metric_done_again_is_not_sent_again(run_folder: Path, store: str, note: Note) -> None:
    again = Record(kind="metrics", time_ms=9, step=1, body={"values": {"memory/rss": 2.0}, "again": True})
    note([run_record(), Record(kind="metrics", time_ms=1, step=1, body={"values": {"memory/rss": 1.0}}), again])
    deliver(run_folder, store)
    assert history(store, "memory/rss") == [(1, 1.0)]


def test_a_bundle_is_registered_once_and_comes_back_whole(
    run_folder: Path, store: str, note: Note, tmp_path: Path
) -> None:
    body = {"path": str(DEFAULT_BUNDLE), "model": "it's a model", "tags": registry_tags(DEFAULT_BUNDLE)}
    note([run_record(), Record(kind="bundle", time_ms=1, body=body)])
    deliver(run_folder, store)
    (run_folder / "tracking" / "mlflow.position.json").unlink()
    deliver(run_folder, store)
    client = MlflowClient(store)
    (version,) = client.search_model_versions()
    (run,) = runs(store)
    assert version.name == "it's a model"
    assert version.run_id == run.info.run_id
    uri = client.get_model_version_download_uri(version.name, version.version)
    back = Path(download_artifacts(uri, dst_path=str(tmp_path / "back"), tracking_uri=store))
    assert load_bundle(back, trusted=[version.tags[SHA256_TAG]]).identity.sha256 == version.tags[SHA256_TAG]


def test_a_bundle_that_is_gone_is_not_registered(run_folder: Path, store: str, note: Note) -> None:
    body = {"path": "gone", "model": "m", "tags": {}}
    note([run_record(), Record(kind="bundle", time_ms=1, body=body)])
    delivery = carrier(run_folder, store)
    assert delivery.drain()
    assert delivery._position.refused == 1
    assert list(MlflowClient(store).search_model_versions()) == []


def test_a_model_name_that_is_refused_holds_nothing_up(run_folder: Path, store: str, note: Note) -> None:
    body = {"path": str(DEFAULT_BUNDLE), "model": "no:good", "tags": registry_tags(DEFAULT_BUNDLE)}
    note([run_record(), Record(kind="bundle", time_ms=1, body=body), metric(1, loss=1.0)])
    delivery = carrier(run_folder, store)
    assert delivery.drain(), delivery.problem
    assert delivery._position.refused == 1
    assert history(store, "loss") == [(1, 1.0)]


@pytest.mark.slow
def test_a_locked_store_is_tried_again_without_loss(run_folder: Path, store: str, note: Note) -> None:
    note([run_record(), metric(1, loss=1.0)])
    delivery = carrier(run_folder, f"{store}?timeout=0.1")
    assert delivery.drain()
    note([metric(2, loss=2.0)])
    database = sqlite3.connect(run_folder.parent / "mlflow.db")
    database.execute("begin exclusive")
    try:
        assert not delivery.drain()
        assert "lock" in delivery.problem
    finally:
        database.rollback()
        database.close()
    assert delivery.drain(), delivery.problem
    assert history(store, "loss") == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize("uri", ["htp://nowhere", "sqlite:////dev/null/mlflow.db", "http://127.0.0.1:9"])
def test_a_wrong_address_is_a_problem_and_no_error(
    run_folder: Path, note: Note, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    note([run_record()])
    delivery = carrier(run_folder, uri)
    assert not delivery.drain()
    assert delivery.problem


def test_a_sink_that_was_not_begun_says_so(run_folder: Path) -> None:
    sink = MlflowSink(run_folder, Targets(mlflow_uri="sqlite://", experiment="x", tensorboard=False))
    with pytest.raises(RuntimeError, match="call begin first"):
        sink.deliver([run_record()])


def test_where_files_of_an_experiment_go(run_folder: Path) -> None:
    assert artefact_folder("http://host", run_folder) is None
    assert artefact_folder("sqlite:////a/b c/mlflow.db", run_folder) == "file:///a/b%20c/mlflow-artefacts"
    assert artefact_folder("postgresql://h/d", run_folder) == (run_folder.parent / "mlflow-artefacts").as_uri()


@pytest.mark.slow
def test_runs_at_the_same_time_share_one_file(tmp_path: Path, store: str) -> None:
    folders = [tmp_path / "many" / str(n) for n in range(3)]
    for number, folder in enumerate(folders):
        journal = Journal(folder)
        for record in [run_record(f"run-{number}"), *(metric(n, n, loss=float(n)) for n in range(60))]:
            journal.append(record)
        journal.close()
        Targets(mlflow_uri=store, experiment="shared", tensorboard=False).save(folder)
    processes = [start_delivery(folder, parent=None) for folder in folders]
    failed = [folder for folder, process in zip(folders, processes, strict=True) if process.wait(180) != 0]
    for folder in failed:  # locked for longer than SQLite waits: tried again, as during a run
        assert start_delivery(folder, parent=None).wait(180) == 0
    assert len(runs(store)) == 3
    client = MlflowClient(store)
    for run in runs(store):
        assert len(client.get_metric_history(run.info.run_id, "loss")) == 60
