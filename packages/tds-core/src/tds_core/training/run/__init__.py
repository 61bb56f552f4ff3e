"""From a configuration to an evaluated bundle: data, plan, training, export, evaluation."""

from tds_core.training.run.paths import with_absolute_paths
from tds_core.training.run.whole_run import RUN_NAME, Listeners, RunSummary, run_training

__all__ = ["RUN_NAME", "Listeners", "RunSummary", "run_training", "with_absolute_paths"]
