"""What an earlier end of the same run made, which need not be made again if nothing has changed since."""

import hashlib
import json
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tds_core.bundle import load_bundle
from tds_core.errors import ModelError
from tds_core.evaluation.report import SCORES_NAME
from tds_core.evaluation.summary import ScoredCase
from tds_core.training.config import to_document
from tds_core.training.export import PackedBundle
from tds_core.training.run.ending import BUNDLE_FOLDER, EVALUATION_FOLDER
from tds_core.training.run.judging import Judged
from tds_core.training.run.preparation import PreparedRun

RUN_NAME: Final = "run.json"
"""How the run ended, in its folder."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the end of a run made.

    Attributes:
        bundle: The model.
        judged: Its scores on the validation cases.
    """

    bundle: PackedBundle
    judged: Judged


def made_from(prepared: PreparedRun, step: int) -> str:
    """Return a hash of everything that decides what the end of a run makes.

    Args:
        prepared: The run.
        step: Optimiser steps done.
    """
    parts = [to_document(prepared.config), prepared.digest, step, version("tds-core"), version("tds-data")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def earlier_end(folder: Path, key: str) -> Ended | None:
    """Return what an earlier end of a run made, if it is whole and was made from the same.

    Args:
        folder: Of the run.
        key: What `made_from` gives now.
    """
    try:
        run = json.loads((folder / RUN_NAME).read_text(encoding="utf-8"))
        if run["made_from"] != key or run["bundle_sha256"] is None:
            return None
        bundle = load_bundle(folder / BUNDLE_FOLDER, trusted=[run["bundle_sha256"]])
        scores = json.loads((folder / EVALUATION_FOLDER / SCORES_NAME).read_text(encoding="utf-8"))
        cases = (ScoredCase(case=c["case"], phantom=c["phantom"], values=c["regions"]) for c in scores["cases"])
        judged = Judged(scores=tuple(cases), unscored=dict(run["unscored"]), gallery=())
        packed = PackedBundle(folder=bundle.folder, sha256=bundle.identity.sha256, notes=tuple(run["bundle_notes"]))
    except (OSError, ValueError, KeyError, TypeError, ModelError) as error:
        log.info("no_earlier_end reason=%s", type(error).__name__)
        return None
    return Ended(bundle=packed, judged=judged)
