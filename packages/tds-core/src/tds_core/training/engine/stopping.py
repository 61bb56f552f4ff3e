"""Early stopping: no more training when validations no longer get better."""

import math
from collections.abc import Mapping
from typing import Any


class EarlyStopping:
    """Counts validations without progress, and remembers the best.

    Args:
        patience: How many in a row end the run; never if `None`.
        min_rise: Smallest rise of the score that counts as progress.

    Examples:
        >>> stopping = EarlyStopping(patience=2, min_rise=0.01)
        >>> [stopping.observe(score, step) for step, score in enumerate([0.5, 0.505, 0.507], start=1)]
        [True, True, True]
        >>> stopping.is_due
        True
    """

    def __init__(self, *, patience: int | None, min_rise: float) -> None:
        self._patience, self._min_rise = patience, min_rise
        self._best: float | None = None
        self._best_step: int | None = None
        self._mark = -math.inf
        self._bad = 0

    @property
    def best_score(self) -> float | None:
        """Highest score so far."""
        return self._best

    @property
    def best_step(self) -> int | None:
        """When it was reached first."""
        return self._best_step

    @property
    def without_progress(self) -> int:
        """Validations in a row that brought no progress."""
        return self._bad

    @property
    def is_due(self) -> bool:
        """Whether patience ran out."""
        return self._patience is not None and self._bad >= self._patience

    def observe(self, score: float, step: int) -> bool:
        """Return whether a score is the best so far; one that is not a number never is.

        Args:
            score: The higher the better.
            step: Optimiser steps done.
        """
        # Small rises add up: progress is measured from the last score that was progress.
        if score > self._mark + self._min_rise:
            self._mark, self._bad = score, 0
        else:
            self._bad += 1
        if math.isnan(score) or (self._best is not None and score <= self._best):
            return False
        self._best, self._best_step = score, step
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs: plain values."""
        return {"best": self._best, "best_step": self._best_step, "mark": self._mark, "bad": self._bad}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.
        """
        self._best, self._best_step = state["best"], state["best_step"]
        self._mark, self._bad = state["mark"], state["bad"]
