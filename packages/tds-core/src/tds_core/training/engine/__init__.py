"""The training loop and what keeps it safe."""

from tds_core.pictures import Overlay
from tds_core.training.engine.cache_source import CacheSource
from tds_core.training.engine.events import EVENTS_NAME, Events
from tds_core.training.engine.guarding import BatchSize, Guards, build_guards
from tds_core.training.engine.learner import StepSettings, SupervisedLearner
from tds_core.training.engine.loop import fit
from tds_core.training.engine.metric_log import METRICS_NAME
from tds_core.training.engine.parts import Progress, Report, RunOutcome, RunParts
from tds_core.training.engine.protocols import (
    Batch,
    BatchSource,
    CaseDice,
    Learner,
    StepResult,
    Tracker,
    ValidationResult,
    Validator,
)
from tds_core.training.engine.saving import CHECKPOINT_FOLDER, load_best
from tds_core.training.engine.stopping import EarlyStopping
from tds_core.training.engine.store import Checkpoint, CheckpointStore, read_checkpoint

__all__ = [
    "CHECKPOINT_FOLDER",
    "EVENTS_NAME",
    "METRICS_NAME",
    "Batch",
    "BatchSize",
    "BatchSource",
    "CacheSource",
    "CaseDice",
    "Checkpoint",
    "CheckpointStore",
    "EarlyStopping",
    "Events",
    "Guards",
    "Learner",
    "Overlay",
    "Progress",
    "Report",
    "RunOutcome",
    "RunParts",
    "StepResult",
    "StepSettings",
    "SupervisedLearner",
    "Tracker",
    "ValidationResult",
    "Validator",
    "build_guards",
    "fit",
    "load_best",
    "read_checkpoint",
]
