"""How the learning rate changes: a function of the step, the scores seen and the rollbacks made."""

import math
from collections.abc import Mapping
from typing import Any

from tds_core.errors import CheckpointMismatch
from tds_core.training.config import ScheduleConfig


class RateSchedule:
    """Learning rates of a run, with linear warm-up.

    After the warm-up, which ends at the peak, `polynomial` and `cosine` fall towards `floor`, which the step after the
    last would have; `constant` stays; `plateau` multiplies the rate by `factor` each time the score has not risen by
    `threshold` for more than `patience` validations in a row, and not below `floor`. That is torch's ReduceLROnPlateau
    with `mode="max"` and `threshold_mode="abs"`. Cosine: Loshchilov and Hutter 2017, equation 5, without restarts.

    Args:
        config: The shape.
        peak: Largest learning rate.
        total_steps: Optimiser steps of the run.

    Examples:
        >>> schedule = RateSchedule(ScheduleConfig(name="constant", warmup_steps=2), peak=0.1, total_steps=9)
        >>> [schedule.rate(step) for step in (1, 2, 3)]
        [0.05, 0.1, 0.1]
    """

    def __init__(self, config: ScheduleConfig, *, peak: float, total_steps: int) -> None:
        self._config, self._peak, self._total = config, peak, total_steps
        self._scale = 1.0
        self._plateau = 1.0
        self._best = -math.inf
        self._bad = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            step: Its number, from 1; steps after the last have the rate that the decay ends at.
        """
        warm = min(1.0, step / max(1, self._config.warmup_steps))
        share = warm if warm < 1 else self._share(step)
        return self._peak * share * self._scale

    def observe(self, score: float) -> None:
        """Take note of a validation; only `plateau` does anything with it.

        Args:
            score: The higher the better; a score that is not a number is no progress.
        """
        if self._config.name != "plateau":
            return
        if score > self._best + self._config.threshold:
            self._best, self._bad = score, 0
        else:
            self._bad += 1
        if self._bad > self._config.patience:
            self._plateau = max(self._plateau * self._config.factor, self._config.floor)
            self._bad = 0

    def scale(self, factor: float) -> None:
        """Multiply all later rates, warm-up and floor included, as after a rollback.

        Args:
            factor: Above 0.
        """
        self._scale *= factor

    def state_dict(self) -> dict[str, Any]:
        """Return what an exact resume needs."""
        return {"scale": self._scale, "plateau": self._plateau, "best": self._best, "bad": self._bad}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` returned.

        Args:
            state: That.

        Raises:
            CheckpointMismatch: If it is the state of something else.
        """
        if set(state) != {"scale", "plateau", "best", "bad"}:
            message = f"this is no state of a learning-rate schedule: it has {', '.join(sorted(state)) or 'nothing'}"
            raise CheckpointMismatch(message)
        self._scale, self._plateau = float(state["scale"]), float(state["plateau"])
        self._best, self._bad = float(state["best"]), int(state["bad"])

    def _share(self, step: int) -> float:
        if self._config.name == "constant":
            return 1.0
        if self._config.name == "plateau":
            return self._plateau
        # The last step of the warm-up is the first of the decay: both have the peak.
        start = max(1, self._config.warmup_steps)
        done = min(1.0, (step - start) / max(1, self._total - start + 1))
        if self._config.name == "cosine":
            return self._above_floor((1 + math.cos(math.pi * done)) / 2)
        return self._above_floor((1 - done) ** self._config.power)

    def _above_floor(self, share: float) -> float:
        return self._config.floor + (1 - self._config.floor) * share
