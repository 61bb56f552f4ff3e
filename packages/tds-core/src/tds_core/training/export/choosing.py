"""Which of a run's weights become its bundle: the last, or those with the best validation score."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tds_core.errors import CheckpointDamaged
from tds_core.training.config import TrainingConfig
from tds_core.training.engine import CHECKPOINT_FOLDER, CheckpointStore, Learner
from tds_core.training.engine.matching import check_network

LAST: Final = "last"
BEST: Final = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenWeights:
    """Weights that were chosen among those that a run kept.

    Attributes:
        step: Optimiser steps behind them.
        which: `last`, or `best` if their validation score was what they were chosen by.
    """

    step: int
    which: str


def load_chosen(run: Path, config: TrainingConfig, learner: Learner) -> ChosenWeights:
    """Give a learner the weights that `bundle.weights` asks for, and return which they are.

    `auto` is `best` for a run that ended early by its validation score, and `last` for any other: of as many scores as
    a run has, the best is too good. Without validations there is no best one, and the last ones are taken.

    Args:
        run: Folder of the run.
        config: Of the run, resolved.
        learner: Of the same configuration.

    Raises:
        CheckpointDamaged: If the checkpoint is damaged, or there is none.
        CheckpointMismatch: If it is of another network.
    """
    store = CheckpointStore(run / CHECKPOINT_FOLDER)
    checkpoint = store.latest()
    if checkpoint is None:
        message = f"there is no checkpoint in {run.name!r}; train first"
        raise CheckpointDamaged(message)
    stopping = checkpoint.state["stopping"]
    wanted, best = config.bundle.weights, stopping["best_step"]
    by_score = wanted == BEST or (wanted == "auto" and _ended_early(config, checkpoint.step, stopping))
    by_score = by_score and best is not None
    if by_score and best != checkpoint.step:
        checkpoint = store.load(best)
    check_network(checkpoint.state["network"], learner.network)
    learner.load_state_dict(checkpoint.state["learner"])
    return ChosenWeights(step=checkpoint.step, which=BEST if by_score else LAST)


def _ended_early(config: TrainingConfig, step: int, stopping: dict[str, Any]) -> bool:
    patience = config.length.patience
    total = config.length.epochs * config.sampling.steps_per_epoch
    return patience is not None and step < total and stopping["bad"] >= patience
