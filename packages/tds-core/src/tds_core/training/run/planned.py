"""What a configuration leaves open, filled in from a plan."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tds_core.training.config import TrainingConfig
from tds_core.training.planning import (
    Plan,
    Source,
    apply_plan,
    check_plan,
    make_plan,
    read_plan,
    take_fingerprint,
    write_plan,
)
from tds_core.training.run.datasets import Progress, SplitDataset

PLAN_NAME: Final = "plan.yaml"

log = logging.getLogger(__name__)


def with_plan(
    config: TrainingConfig, datasets: Sequence[SplitDataset], folder: Path, progress: Progress
) -> TrainingConfig:
    """Return a configuration with nothing left open.

    The plan is the one that the configuration names, or that of an earlier start of the run, which a person may have
    changed, or else is made from the data; it is kept as `plan.yaml`. Nothing is planned if nothing is left open.

    Args:
        config: Of the run.
        datasets: Those of the run.
        folder: Of the run.
        progress: Hears of cases that are looked at.

    Raises:
        ConfigError: If nothing fits into memory, or the plan cannot be used for the configuration.
        DataError: If a case cannot be read (from tds_data).
    """
    sampling = config.sampling
    if config.plan is None and None not in {config.data.spacing_mm, sampling.patch, sampling.batch}:
        return config
    plan = _find(config, folder, lambda: _make(config, datasets, progress))
    planned = apply_plan(config, plan)
    for sentence in (*plan.warnings, *check_plan(plan, planned)):
        log.warning("plan: %s", sentence)
    write_plan(plan, folder / PLAN_NAME)
    return planned


def _find(config: TrainingConfig, folder: Path, make: Callable[[], Plan]) -> Plan:
    if config.plan is not None:
        return read_plan(config.plan)
    kept = folder / PLAN_NAME
    return read_plan(kept) if kept.is_file() else make()


def _make(config: TrainingConfig, datasets: Sequence[SplitDataset], progress: Progress) -> Plan:
    sources = [Source(manifest=part.manifest, others=part.config.others) for part in datasets]
    fingerprint = take_fingerprint(sources, config.goal, workers=max(1, config.data.workers), progress=progress)
    return make_plan(fingerprint, config, config.safety.vram_target_bytes)
