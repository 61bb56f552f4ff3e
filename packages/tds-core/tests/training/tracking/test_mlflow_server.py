"""A real MLflow server on the loopback: there, killed, back again; and sockets that accept and never answer."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.tracking import MlflowClient

from tds_core.bundle import DEFAULT_BUNDLE, load_bundle
from tds_core.errors import TrackingUnavailable
from tds_core.training.engine.protocols import Overlay
from tds_core.training.tracking import FinishLimits, JournalTracker, RunFacts, open_tracker, replay
from tds_core.training.tracking.mlflow_registry import SHA256_TAG

from .conftest import MakeConfig

pytestmark = [
    pytest.mark.slow,
    # MLflow 3 uses what SQLAlchemy 2.1 calls deprecated.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

START_S = 180.0
PATIENT = FinishLimits(finished_s=120.0)


class Server:
    """`mlflow server` over SQLite, with files that go through it."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copy(store, folder / "server.db")
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}", "--workers", "1"]
        command += ["--artifacts-destination", str(self._folder / "files")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter
                command, stdout=log, stderr=log, start_new_session=True, cwd=self._folder, env=dict(os.environ)
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:  # noqa: S310  # the loopback
                if answer.status == 200:
                    return
            time.sleep(0.3)
        self.kill()
        pytest.fail(f"no server after {START_S} s: {(self._folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"), empty_store)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def facts() -> RunFacts:
    return RunFacts(name="demo", config={"loss": {"name": "dice_ce"}}, dataset_digest="abc")


def losses(uri: str, experiment: str) -> list[tuple[int, float]]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    return sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train/loss"))


def step(tracker: JournalTracker, number: int) -> float:
    start = time.perf_counter()
    tracker.metrics(number, {"train/loss": 1.0 / number, "train/rate": 0.1})
    return time.perf_counter() - start


def test_a_server_gets_a_whole_run_with_pictures_and_the_bundle(
    server: Server,
    run_folder: Path,
    make_config: MakeConfig,
    facts: RunFacts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_config(mlflow_uri=server.uri, experiment="whole", tensorboard=False)
    tracker = open_tracker(config, run_folder, facts, limits=PATIENT)
    for number in range(1, 51):
        step(tracker, number)
    tracker.overlays(50, (Overlay(name="case-0-axial", pixels=np.zeros((8, 8, 3), dtype=np.uint8)),))
    tracker.register_bundle(DEFAULT_BUNDLE, "tumours")
    tracker.finish("finished")
    assert losses(server.uri, "whole") == [(n, 1.0 / n) for n in range(1, 51)]
    client = MlflowClient(server.uri)
    (version,) = client.search_model_versions("name='tumours'")
    assert version.run_id is not None
    pictures = [f.path for f in client.list_artifacts(version.run_id, "overlays/case-0-axial")]
    assert pictures == ["overlays/case-0-axial/step-000050.png"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    place = download_artifacts("models:/tumours/1", dst_path=str(tmp_path / "back"))
    sha256 = version.tags[SHA256_TAG]
    assert load_bundle(Path(place), trusted=[sha256]).identity.sha256 == sha256


def test_a_server_that_dies_in_the_middle_gets_everything_once_when_it_is_back(
    server: Server, run_folder: Path, make_config: MakeConfig, facts: RunFacts, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(mlflow_uri=server.uri, experiment="killed", tensorboard=False)
    tracker = open_tracker(config, run_folder, facts, limits=FinishLimits(finished_s=1.0))
    for number in range(1, 101):
        step(tracker, number)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and MlflowClient(server.uri).get_experiment_by_name("killed") is None:
        time.sleep(0.2)
    server.kill()
    for number in range(101, 201):
        step(tracker, number)
    tracker.finish("finished")
    assert "tracking_waits back_end=mlflow" in caplog.text
    with pytest.raises(TrackingUnavailable, match="has not got everything"):
        replay(run_folder)
    server.start()
    replay(run_folder)
    replay(run_folder)
    assert losses(server.uri, "killed") == [(n, 1.0 / n) for n in range(1, 201)]


@pytest.fixture
def hanging() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_never_answers_delays_neither_steps_nor_the_end(
    hanging: str, run_folder: Path, make_config: MakeConfig, facts: RunFacts
) -> None:
    config = make_config(mlflow_uri=hanging, tensorboard=False)
    tracker = open_tracker(config, run_folder, facts, limits=FinishLimits(finished_s=2.0))
    took = []
    for number in range(1, 301):
        took.append(step(tracker, number))
        time.sleep(0.01)
    start = time.monotonic()
    tracker.finish("finished")
    assert time.monotonic() - start < 10
    assert sorted(took)[len(took) // 2] < 0.005
    assert sum(took) < 1.0
