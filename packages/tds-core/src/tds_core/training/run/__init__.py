"""From a configuration to an evaluated bundle: data, plan, training, export, evaluation."""

from tds_core.training.run.cross_validation import (
    CrossValidation,
    close_cross_validation,
    fold_runs,
    with_shared_plan,
)
from tds_core.training.run.earlier import RUN_NAME
from tds_core.training.run.paths import with_absolute_paths
from tds_core.training.run.whole_run import Listeners, RunSummary, run_training

__all__ = [
    "RUN_NAME",
    "CrossValidation",
    "Listeners",
    "RunSummary",
    "close_cross_validation",
    "fold_runs",
    "run_training",
    "with_absolute_paths",
    "with_shared_plan",
]
