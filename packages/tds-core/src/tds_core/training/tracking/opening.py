"""Open a tracker at the beginning of a run; deliver later what could not be delivered then."""

import logging
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from tds_core.errors import ConfigError, MissingDependency, TrackingUnavailable
from tds_core.training.tracking.courier import DELIVERED, Courier, start_delivery, waiting_bytes
from tds_core.training.tracking.facts import RunFacts
from tds_core.training.tracking.journal import Journal, read_records
from tds_core.training.tracking.positions import load_position
from tds_core.training.tracking.records import Record, plain
from tds_core.training.tracking.registry_entry import NOTICE
from tds_core.training.tracking.targets import TARGETS_NAME, Targets, local_store, without_places
from tds_core.training.tracking.tracker import FinishLimits, JournalTracker

if TYPE_CHECKING:  # keeps what configurations import out of the process that delivers
    from tds_core.training.config import TrainingConfig

_NOT_IN_MODEL: Final = frozenset(":/")
_EXTRA: Final = "track"
_BUSY: Final = 3
_REPLAY_S: Final = 600.0

logger = logging.getLogger(__name__)


def open_tracker(
    config: "TrainingConfig", folder: Path, facts: RunFacts, *, limits: FinishLimits | None = None
) -> JournalTracker:
    """Return a tracker for a run; it goes on with what an earlier process of the same run has noted.

    Args:
        config: Says where to.
        folder: The run folder; made if needed.
        facts: What to say of the run.
        limits: How long the end of the run waits for its delivery.

    Raises:
        ConfigError: If a server was named, but MLflow is not installed, or the registry takes no such name.
    """
    targets = choose_targets(config, folder)
    try:
        journal = _begin(folder, targets, facts)
    except OSError as error:
        logger.warning("tracking_off reason=%s; training goes on, but nothing is noted", error.strerror or error)
        return JournalTracker(folder, None, None)
    courier = Courier(folder, targets.names) if targets.names else None
    if courier is not None:
        courier.start()
    return JournalTracker(folder, journal, courier, targets.names, limits)


def _begin(folder: Path, targets: Targets, facts: RunFacts) -> Journal:
    journal = Journal(folder)
    try:
        targets.save(folder)
        journal.append(_run_record(_identity(journal.path) or uuid4().hex, facts))
    except OSError:
        journal.close()
        raise
    return journal


def choose_targets(config: "TrainingConfig", folder: Path) -> Targets:
    """Return the back ends that are wanted and installed.

    Args:
        config: Says which.
        folder: The run folder.

    Raises:
        ConfigError: As `check_tracking` does.
    """
    check_tracking(config)
    wanted = config.tracking
    mlflow, tensorboard = wanted.mlflow, wanted.tensorboard
    if mlflow and find_spec("mlflow") is None:
        logger.warning("tracking_without_mlflow reason=%s", MissingDependency("mlflow", _EXTRA))
        mlflow = False
    if tensorboard and find_spec("tensorboard") is None:
        logger.warning("tracking_without_tensorboard reason=%s", MissingDependency("tensorboard", _EXTRA))
        tensorboard = False
    uri = (wanted.mlflow_uri or local_store(folder)) if mlflow else None
    return Targets(mlflow_uri=uri, experiment=wanted.experiment, tensorboard=tensorboard)


def check_tracking(config: "TrainingConfig") -> None:
    """Refuse, before long work, a tracking that cannot be.

    Args:
        config: Says what is wanted.

    Raises:
        ConfigError: If a server was named, but MLflow is not installed, or the registry takes no such name.
    """
    wanted = config.tracking
    model = wanted.register_model
    if model is not None and (not model.strip() or _NOT_IN_MODEL & set(model)):
        message = f"tracking.register_model is {model!r}; MLflow takes a name without ':' and '/' that is not empty"
        raise ConfigError(message)
    if wanted.mlflow and wanted.mlflow_uri is not None and find_spec("mlflow") is None:
        message = (
            f"tracking.mlflow_uri names a store, but {MissingDependency('mlflow', _EXTRA)}; or set tracking.mlflow to "
            "false"
        )
        raise ConfigError(message)


def replay(folder: Path, *, timeout_s: float = _REPLAY_S) -> None:
    """Deliver now what an earlier run could not deliver.

    Args:
        folder: The run folder; nothing may be training in it.
        timeout_s: Most seconds to take.

    Raises:
        TrackingUnavailable: If there is no journal, a process is delivering it, or a back end does not take it.
    """
    try:
        targets = Targets.load(folder)
    except (OSError, ValueError) as error:
        message = f"there is nothing to deliver in {str(folder)!r}: {TARGETS_NAME} cannot be read; name a run folder"
        raise TrackingUnavailable(message) from error
    start = time.monotonic()
    try:
        process = start_delivery(folder, parent=None)
        code = process.wait(timeout_s)
    except OSError as error:
        message = f"cannot deliver from {str(folder)!r}: {error.strerror or error}"
        raise TrackingUnavailable(message) from error
    except TimeoutExpired:
        process.kill()
        process.wait()
        code = -1
    if code == _BUSY:
        message = f"another process is delivering {str(folder)!r}; wait until the run has ended"
        raise TrackingUnavailable(message)
    if code != DELIVERED:
        raise TrackingUnavailable(_left(folder, targets, time.monotonic() - start))


def _left(folder: Path, targets: Targets, seconds: float) -> str:
    waiting = waiting_bytes(folder, targets.names)
    problems = {name: position.problem for name in waiting if (position := load_position(folder, name))}
    reasons = "; ".join(f"{name}: {problem or 'no answer'}" for name, problem in problems.items())
    return (
        f"after {seconds:.0f} s {', '.join(waiting) or 'a back end'} has not got everything "
        f"({reasons or 'no answer'}); what is left stays in the run folder, try again when it can be reached"
    )


def _identity(path: Path) -> str | None:
    """Return the name that an earlier process gave the run."""
    for record, _ in read_records(path):
        if record is not None and record.kind == "run":
            return str(record.body["id"])
    return None


def _run_record(identity: str, facts: RunFacts) -> Record:
    body = {
        "id": identity,
        "name": f"{facts.name} (PHANTOM)" if facts.phantom else facts.name,
        "config": without_places(plain(facts.config)),
        "tags": _tags(facts),
        "phantom": facts.phantom,
        "resumed": facts.resumed,
    }
    return Record(kind="run", time_ms=time.time_ns() // 1_000_000, body=body)


def _tags(facts: RunFacts) -> Mapping[str, Any]:
    notice = f"{NOTICE} Trained and measured on synthetic data (PHANTOM)." if facts.phantom else NOTICE
    tags = {
        "tds.notice": notice,
        "mlflow.note.content": notice,
        "mlflow.source.name": "tds train",
        "tds.dataset_digest": facts.dataset_digest,
        "tds.phantom": str(facts.phantom).lower(),
        "tds.fold": "none" if facts.fold is None else str(facts.fold),
        **{f"tds.code.{name}": version for name, version in facts.code.items()},
        **{f"tds.device.{name}": value for name, value in facts.device.items()},
    }
    commit = facts.code.get("commit")
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})
