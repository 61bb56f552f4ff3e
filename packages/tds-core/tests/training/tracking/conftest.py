import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_core.training.config import DataConfig, DatasetConfig, TrackingConfig, TrainingConfig
from tds_core.training.tracking import RunFacts
from tds_core.training.tracking.journal import Journal
from tds_core.training.tracking.records import Record

# Back ends come with the extra `track`; without it there is nothing to deliver to.
collect_ignore = (
    []
    if all(importlib.util.find_spec(name) for name in ("mlflow", "tensorboard"))
    else ["test_kill.py", "test_mlflow_server.py", "test_mlflow_sink.py", "test_tensorboard_sink.py"]
)

# MLflow reads these when it is imported; the process that delivers sets them itself.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"

MakeConfig = Callable[..., TrainingConfig]


@pytest.fixture
def make_config() -> MakeConfig:
    def make(**tracking: object) -> TrainingConfig:
        return TrainingConfig(
            name="demo",
            data=DataConfig(datasets=(DatasetConfig(phantoms=2),)),
            tracking=TrackingConfig(**tracking),  # type: ignore[arg-type]  # what a test gives
        )

    return make


@pytest.fixture
def facts() -> RunFacts:
    return RunFacts(
        name="demo",
        config={"name": "demo", "loss": {"name": "dice_ce"}, "tracking": {"mlflow_uri": "http://ada:secret@host:1"}},
        dataset_digest="abc123",
        code={"tds-core": "0.1.0", "commit": "f00d"},
        device={"device": "cpu"},
        fold=2,
        phantom=True,
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "demo"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def note(run_folder: Path) -> Callable[[list[Record]], None]:
    """Append lines to the journal of the run."""

    def append(records: list[Record]) -> None:
        journal = Journal(run_folder)
        for record in records:
            journal.append(record)
        journal.close()

    return append


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with MLflow's tables, which take seconds to make."""
    from mlflow.tracking import MlflowClient  # noqa: PLC0415  # extra `track`; takes seconds

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store: Path, run_folder: Path) -> str:
    """The address of a store of its own beside the run folder."""
    path = run_folder.parent / "mlflow.db"
    shutil.copy(empty_store, path)
    return f"sqlite:///{path}"


def run_record(identity: str = "run-1", **changes: object) -> Record:
    body = {
        "id": identity,
        "name": "demo (PHANTOM)",
        "config": {"loss": {"name": "dice_ce"}},
        "tags": {"tds.phantom": "true", "tds.notice": "Research software, not a medical device."},
        "phantom": True,
        "resumed": False,
    }
    return Record(kind="run", time_ms=1, body=body | changes)


def metric(step: int, time_ms: int = 5, **values: object) -> Record:
    return Record(kind="metrics", time_ms=time_ms, step=step, body={"values": values})
