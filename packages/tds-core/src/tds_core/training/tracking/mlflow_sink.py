"""MLflow as a back end, by its client alone: no global run, nothing printed.

MLflow keeps one point for each combination of run, name, step, time and value, so metrics that are sent again with the
time of the journal are no second points. Pictures and files take the place of the same ones.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from tds_core.training.tracking.delivery import StartOver
from tds_core.training.tracking.journal import journal_path
from tds_core.training.tracking.mlflow_registry import register_version
from tds_core.training.tracking.params import allowed_name, flat_params
from tds_core.training.tracking.positions import Position
from tds_core.training.tracking.records import Record, decode_number
from tds_core.training.tracking.targets import Targets, without_credentials
from tds_core.training.tracking.timeline import live_records

if TYPE_CHECKING:  # takes seconds
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

RUN_TAG: Final = "tds.run_id"
"""Tag that holds the journal's own name of the run, by which a run is found again."""

_BATCH: Final = 500
_PARAMS: Final = 100
_TAG_LENGTH: Final = 5000
_STATUS: Final = {"finished": "FINISHED", "early": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

_FINAL_STATUS: Final = frozenset({400, 413, 414, 415})

logger = logging.getLogger(__name__)


class MlflowSink:
    """A server or store of MLflow.

    Args:
        folder: The run folder.
        targets: Where to.
    """

    name = "mlflow"

    def __init__(self, folder: Path, targets: Targets) -> None:
        self._folder, self._targets = folder, targets
        self._client: MlflowClient | None = None
        self._run = ""

    @property
    def run(self) -> str:
        """MLflow's name of the run."""
        return self._run

    def begin(self, position: Position) -> None:
        """Connect.

        Args:
            position: How far an earlier process got.
        """
        from mlflow.tracking import MlflowClient  # noqa: PLC0415  # extra `track`; takes seconds

        self._client = MlflowClient(self._targets.mlflow_uri, registry_uri=self._targets.mlflow_uri)
        self._run = position.run

    def deliver(self, records: Sequence[Record]) -> int:
        """Send records and return how many cannot be sent at all.

        Args:
            records: In order.

        Raises:
            StartOver: If the run is gone.
        """
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  # extra `track`

        try:
            return self._send(records)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST" and self._run:
                raise StartOver(str(error)) from error
            raise

    def close(self) -> None:
        """Forget the connection."""
        self._client = None

    def _send(self, records: Sequence[Record]) -> int:
        refused = 0
        metrics: list[Metric] = []
        for record in records:
            if record.kind in {"metrics", "event"}:
                metrics += _metrics(record)
                continue
            refused += self._log(metrics)
            metrics = []
            refused += self._unless_refused(record)
        refused += self._log(metrics)
        if any(record.kind == "event" for record in records):
            self._events()
        return refused

    def _unless_refused(self, record: Record) -> int:
        """Send one record; what is refused for what it is must not hold up the rest."""
        try:
            return self._other(record)
        except Exception as error:
            if record.kind == "run" or not _is_final(error):
                raise
            logger.warning("refused kind=%s reason=%s", record.kind, error)
            return 1

    def _other(self, record: Record) -> int:
        body = record.body
        match record.kind:
            case "run":
                self._begin_run(record)
            case "picture":
                return self._file(self._folder / body["file"], f"overlays/{allowed_name(body['name'])}")
            case "artefact":
                return self._file(self._folder / body["path"], body["name"])
            case "bundle":
                missing = self._file(self._folder / body["path"], "bundle")
                if not missing:
                    register_version(self._there, self._run, body["model"], body["tags"])
                return missing
            case "finish":
                self._there.set_terminated(self._run, _STATUS.get(body["status"], "FAILED"), record.time_ms)
            case _:  # a rewind: MLflow keeps both points where values differ
                pass
        return 0

    def _begin_run(self, record: Record) -> None:
        from mlflow.entities import Param, RunTag  # noqa: PLC0415  # extra `track`

        run = self._find_run(record.body["id"]) or self._create_run(record)
        self._run = run.info.run_id
        self._there.update_run(self._run, status="RUNNING")
        params = flat_params(record.body["config"])
        new = [Param(name, value) for name, value in params.items() if name not in run.data.params]
        changed = {f"tds.changed/{k}": v for k, v in params.items() if run.data.params.get(k, v) != v}
        for start in range(0, len(new), _PARAMS):
            self._there.log_batch(self._run, params=new[start : start + _PARAMS])
        tags = {**record.body["tags"], **changed}
        notes = [RunTag(allowed_name(name), str(value)[:_TAG_LENGTH]) for name, value in tags.items()]
        for start in range(0, len(notes), _PARAMS):
            self._there.log_batch(self._run, tags=notes[start : start + _PARAMS])
        text = yaml.safe_dump(record.body["config"], sort_keys=False, allow_unicode=True)
        self._there.log_text(self._run, without_credentials(text), "config/config.yaml")

    def _find_run(self, identity: str) -> "Run | None":
        if self._run:
            return self._there.get_run(self._run)
        found = self._there.search_runs([self._experiment()], f"tags.`{RUN_TAG}` = '{identity}'", max_results=1)
        return found[0] if found else None

    def _create_run(self, record: Record) -> "Run":
        body = record.body
        tags = {RUN_TAG: body["id"]}
        return self._there.create_run(self._experiment(), record.time_ms, tags, run_name=body["name"])

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  # extra `track`

        name = self._targets.experiment
        found = self._there.get_experiment_by_name(name)
        if found is None:
            try:
                return self._there.create_experiment(
                    name, artefact_folder(self._targets.mlflow_uri or "", self._folder)
                )
            except MlflowException:
                found = self._there.get_experiment_by_name(name)  # another run may have been quicker
                if found is None:
                    raise
        return str(found.experiment_id)

    def _log(self, metrics: "list[Metric]") -> int:
        """Send numbers; if a batch is refused for what is in it, send them one by one."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  # extra `track`

        refused = 0
        for start in range(0, len(metrics), _BATCH):
            part = metrics[start : start + _BATCH]
            try:
                self._there.log_batch(self._run, metrics=part)
            except MlflowException as error:
                if not _is_final(error):
                    raise
                refused += self._log_singly(part)
        return refused

    def _log_singly(self, metrics: "list[Metric]") -> int:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415  # extra `track`

        refused = 0
        for metric in metrics:
            try:
                self._there.log_batch(self._run, metrics=[metric])
            except MlflowException as error:
                if not _is_final(error):
                    raise
                logger.warning("metric_refused name=%s step=%d reason=%s", metric.key, metric.step, error)
                refused += 1
        return refused

    def _file(self, path: Path, place: str) -> int:
        if path.is_dir():
            self._there.log_artifacts(self._run, str(path), place)
        elif path.is_file():
            self._there.log_artifact(self._run, str(path), place)
        else:
            logger.warning("file_gone path=%s", path.name)
            return 1
        return 0

    def _events(self) -> None:
        lines = [_event_line(r) for r in live_records(journal_path(self._folder)) if r.kind == "event"]
        self._there.log_text(self._run, "".join(lines), "events.jsonl")

    @property
    def _there(self) -> "MlflowClient":
        if self._client is None:
            message = "the sink is not connected; call begin first"
            raise RuntimeError(message)
        return self._client


def artefact_folder(uri: str, folder: Path) -> str | None:
    """Return where a new experiment keeps its files; `None` where a server knows best.

    Args:
        uri: Of the store.
        folder: The run folder.
    """
    if uri.startswith(("http:", "https:", "databricks")):
        return None
    base = Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else folder.parent
    return (base.absolute() / "mlflow-artefacts").as_uri()


def _is_final(error: Exception) -> bool:
    """Tell whether the same will be refused again whenever it is sent."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # extra `track`
    from requests import HTTPError  # noqa: PLC0415  # comes with MLflow

    if isinstance(error, MlflowException):
        return bool(error.error_code == "INVALID_PARAMETER_VALUE")
    return isinstance(error, HTTPError) and error.response is not None and error.response.status_code in _FINAL_STATUS


def _metrics(record: Record) -> "list[Metric]":
    from mlflow.entities import Metric  # noqa: PLC0415  # extra `track`

    if record.kind == "event":
        values: Mapping[str, Any] = {f"events/{record.body['name']}": 1.0}
    else:
        values = {} if record.body.get("again") else record.body["values"]
    return [Metric(allowed_name(k), decode_number(v), record.time_ms, record.step) for k, v in values.items()]


def _event_line(record: Record) -> str:
    document = {"step": record.step, "ms": record.time_ms, "event": record.body["name"], **record.body["values"]}
    return json.dumps(document, ensure_ascii=False) + "\n"
