"""Where a run stands, but for the weights."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

_SMOOTHING: Final = 0.95


@dataclass(slots=True, kw_only=True)
class RunState:
    """Numbers that a resumed run goes on from.

    Attributes:
        step: Optimiser steps done.
        validated_step: The last step that was validated after.
        loss: Moving average of the loss; `None` before the first step.
        epoch_loss: Sum of the losses of this epoch so far.
        epoch_steps: How many those are.
        window_loss: Sum of the losses since the tracker heard of them.
        window_steps: How many those are.
    """

    step: int = 0
    validated_step: int = 0
    loss: float | None = None
    epoch_loss: float = 0.0
    epoch_steps: int = 0
    window_loss: float = 0.0
    window_steps: int = 0

    def add(self, loss: float) -> None:
        """Take the loss of a step.

        Args:
            loss: That.
        """
        self.loss = loss if self.loss is None else _SMOOTHING * self.loss + (1 - _SMOOTHING) * loss
        self.epoch_loss, self.epoch_steps = self.epoch_loss + loss, self.epoch_steps + 1
        self.window_loss, self.window_steps = self.window_loss + loss, self.window_steps + 1

    def close_epoch(self) -> float | None:
        """Return the mean loss of the epoch, `None` if no step of it was made, and begin the next."""
        mean = self.epoch_loss / self.epoch_steps if self.epoch_steps else None
        self.epoch_loss, self.epoch_steps = 0.0, 0
        return mean

    def close_window(self) -> float | None:
        """Return the mean loss since the last call, `None` if no step was made, and begin anew."""
        mean = self.window_loss / self.window_steps if self.window_steps else None
        self.window_loss, self.window_steps = 0.0, 0
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "RunState":
        """Return what `state_dict` told.

        Args:
            state: That.
        """
        return cls(**state)
