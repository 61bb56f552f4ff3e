"""What happens before the first step: data sets, plan, preprocessing, and a record of all of it in the run folder."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.config import TrainingConfig, parse, read_document, to_document
from tds_core.training.engine import CHECKPOINT_FOLDER
from tds_core.training.engine.matching import check_config
from tds_core.training.run.cases import RunCases, cache_cases
from tds_core.training.run.datasets import Progress, SplitDataset, data_digest, open_datasets
from tds_core.training.run.leaks import check_leaks
from tds_core.training.run.planned import with_plan
from tds_data.atomic_file import write_text

log = logging.getLogger(__name__)

CONFIG_NAME: Final = "config.yaml"
DATA_NAME: Final = "data.json"
CACHE_FOLDER: Final = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """A run that can begin.

    Attributes:
        config: Resolved: nothing is left to the plan.
        datasets: Those of the run, split.
        cases: Preprocessed.
        digest: SHA-256 of everything that is learned from and measured on.
    """

    config: TrainingConfig
    datasets: tuple[SplitDataset, ...]
    cases: RunCases
    digest: str


def prepare_run(config: TrainingConfig, folder: Path, progress: Progress, *, records: bool = True) -> PreparedRun:
    """Return a run that can begin, after writing `config.yaml`, `data.json` and, if one was made, `plan.yaml`.

    Of several processes those that come later in `World.in_turn` read what the earlier ones made.

    Args:
        config: Its paths are absolute.
        folder: Of the run; made if it is not there.
        progress: Hears of files, phantoms and cases.
        records: Whether `config.yaml` and `data.json` are checked and written: in the main process.

    Raises:
        DataError: If the data cannot be used (from tds_data).
        ConfigError: If the configuration does not fit the data.
        TrainingError: If the data, or the configuration, of a run that goes on have changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = config.data.cache or folder / CACHE_FOLDER
    datasets = open_datasets(config, store, progress)
    check_leaks(datasets)
    digest = data_digest(datasets)
    if records:
        _check_record(folder / DATA_NAME, digest)
    resolved = with_plan(config, datasets, folder, progress)
    if records:
        _check_config(resolved, folder)
    cases = cache_cases(resolved, datasets, store, progress)
    prepared = PreparedRun(config=resolved, datasets=datasets, cases=cases, digest=digest)
    if records:
        _record(prepared, folder)
    return prepared


def _check_record(path: Path, digest: str) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["digest"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path.name} of the run cannot be read; choose another run folder, or bring it back from a copy"
        raise TrainingError(message) from error
    if before != digest:
        message = (
            "the data or their split have changed since this run began, so it cannot go on as if nothing had happened; "
            "bring the data back as they were, or begin another run (network.weights takes over what was learned)"
        )
        raise TrainingError(message)


def _check_config(config: TrainingConfig, folder: Path) -> None:
    """Refuse another configuration before it is written over the one that the run was begun with."""
    if not any((folder / CHECKPOINT_FOLDER).glob("*.pt")):
        return
    try:
        before = parse(TrainingConfig, read_document(folder / CONFIG_NAME))
    except ConfigError as error:
        log.warning("config_unreadable reason=%s", error)  # each checkpoint holds it, too
        return
    check_config(to_document(before), to_document(config))


def _record(prepared: PreparedRun, folder: Path) -> None:
    document: dict[str, Any] = {
        "digest": prepared.digest,
        "datasets": [
            {
                "label": part.label,
                "layout": part.manifest.layout,
                "manifest_sha256": part.manifest.digest,
                "licence": part.manifest.licence,
                "phantoms": sum(case.phantom for case in part.manifest.cases),
                "training": list(part.training),
                "validation": list(part.validation),
            }
            for part in prepared.datasets
        ],
    }
    write_text(folder / DATA_NAME, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    text = yaml.safe_dump(to_document(prepared.config), sort_keys=False, allow_unicode=True)
    write_text(folder / CONFIG_NAME, text)
