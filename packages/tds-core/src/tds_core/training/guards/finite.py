"""What to do about a loss that is NaN or infinite."""

import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tds_core.errors import LossNotFinite
from tds_core.training.guards.events import Report, ignore

_REMEMBERED: Final = 10
_MOST_SKIPS: Final = 50
"""Steps in a row that may be left out in fp16. Each halves the loss scale, so that no overflow survives this many."""

logger = logging.getLogger(__name__)


class Outcome(Protocol):
    """What a step did; the engine's `StepResult` is one."""

    @property
    def loss(self) -> float:
        """Mean loss over the whole batch."""
        ...

    @property
    def gradient_norm(self) -> float:
        """Norm before clipping."""
        ...

    @property
    def skipped(self) -> bool:
        """Whether the step was left out because a gradient overflowed in fp16."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """The way out: go back to the last good state, and change something.

    Attributes:
        rate_factor: What the learning rate is multiplied by from here on; 1 if the batch is to blame.
        leave_out: Whether the batch of the failed step is left out from now on.
    """

    rate_factor: float
    leave_out: bool


class RollbackPolicy:
    """Decides what happens after a loss or gradient that is not finite.

    The first time the run goes back to its last good state, with a lower rate. If the same step fails again, its batch
    is to blame: the run goes back once more and leaves that batch out. Each return counts as a retry; when they are
    used up, the run ends. So it can never go in circles. All of this is part of the run's state, which is saved but
    never rolled back itself.

    Args:
        retries: How often a run may go back.
        factor: What the rate is multiplied by.
        report: Is told `rolled_back` and `batch_left_out`, with numbers.
    """

    def __init__(self, retries: int, factor: float, *, report: Report = ignore) -> None:
        self._retries = retries
        self._factor = factor
        self._report = report
        self._used = 0
        self._failed: set[int] = set()
        self._left_out: set[int] = set()
        self._skips = 0
        self._norms: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def retries_used(self) -> int:
        """How often the run went back."""
        return self._used

    def leaves_out(self, step: int) -> bool:
        """Return whether the batch of a step is left out, because it failed twice.

        Args:
            step: Number of the step, from 1.
        """
        return step in self._left_out

    def check(self, step: int, result: Outcome, *, rate: float, cases: Sequence[str] = ()) -> Rollback | None:
        """Return what to do after a step; `None` to go on.

        Args:
            step: Number of the step, from 1.
            result: What it did.
            rate: Its learning rate.
            cases: What its patches were cut from, if that is known.

        Raises:
            LossNotFinite: If the retries are used up.
        """
        self._skips = self._skips + 1 if result.skipped else 0
        stuck = self._skips >= _MOST_SKIPS
        finite = math.isfinite(result.loss) and math.isfinite(result.gradient_norm)
        if not stuck and (result.skipped or finite):
            if finite:
                self._norms.append(result.gradient_norm)
            return None
        self._skips = 0
        if self._used >= self._retries:
            raise LossNotFinite(self._reason(step, result, rate, cases, stuck=stuck))
        self._used += 1
        return self._decide(step, result, rate, cases)

    def state_dict(self) -> dict[str, Any]:
        """Return what is known, as plain values."""
        return {
            "used": self._used,
            "failed": sorted(self._failed),
            "left_out": sorted(self._left_out),
            "skips": self._skips,
            "norms": list(self._norms),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint.

        Args:
            state: What `state_dict` returned.
        """
        self._used = int(state["used"])
        self._failed = {int(step) for step in state["failed"]}
        self._left_out = {int(step) for step in state["left_out"]}
        self._skips = int(state["skips"])
        self._norms = deque((float(norm) for norm in state["norms"]), maxlen=_REMEMBERED)

    def _decide(self, step: int, result: Outcome, rate: float, cases: Sequence[str]) -> Rollback:
        again = step in self._failed
        values: dict[str, object] = {
            "step": step,
            "loss": str(result.loss),  # JSON has no NaN
            "gradient_norm": str(result.gradient_norm),
            "rate": rate,
            "retry": self._used,
            "retries": self._retries,
            "cases": list(cases),
        }
        if again:
            self._left_out.add(step)
            self._tell("batch_left_out", values)
            return Rollback(rate_factor=1.0, leave_out=True)
        self._failed.add(step)
        self._tell("rolled_back", {**values, "rate_factor": self._factor})
        return Rollback(rate_factor=self._factor, leave_out=False)

    def _reason(self, step: int, result: Outcome, rate: float, cases: Sequence[str], *, stuck: bool) -> str:
        what = (
            f"fp16 gradients overflowed in {_MOST_SKIPS} steps in a row, up to step {step}"
            if stuck
            else f"the loss of step {step} is {result.loss} and its gradient norm {result.gradient_norm}"
        )
        norms = ", ".join(f"{norm:.3g}" for norm in self._norms) or "none"
        where = f"; its patches are from {', '.join(cases)}" if cases else ""
        back = f"after going back {self._used} of {self._retries} times"
        return (
            f"{what}, {back}; the rate was {rate:g}, the gradient norms of the last good steps were {norms}{where}; "
            "try a lower optimiser.learning_rate, a longer schedule.warmup_steps, a smaller optimiser.clip_norm, "
            "precision: bf16 or fp32 instead of fp16, and look at the data with `tds data check`"
        )

    def _tell(self, kind: str, values: Mapping[str, object]) -> None:
        logger.warning("%s step=%s retry=%d", kind, values["step"], self._used)
        self._report(kind, values)
