"""The training loop: it steps, validates and saves, and gets over what can be got over.

A run is a function of its configuration and data. Patches, and what the network draws at random, are decided by seed
and step; everything else that a step depends on is in the checkpoint. So a run that was killed goes on from its last
checkpoint and ends where it would have ended.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn

from tds_core.training.config import TrainingConfig
from tds_core.training.engine.pace import Pace
from tds_core.training.engine.parts import Progress, Report, RunOutcome, RunParts, Status
from tds_core.training.engine.protocols import Batch, StepResult, ValidationResult, Validator
from tds_core.training.engine.saving import Keeper
from tds_core.training.engine.state import RunState
from tds_core.training.engine.stopping import EarlyStopping
from tds_core.training.guards import UpdateTorn, host_memory

_TRACK_EVERY: Final = 10
_MEMORY_EVERY: Final = 100


class _Stopped(Exception):
    """The run was asked to stop in the middle of a validation."""


def fit(config: TrainingConfig, parts: RunParts, *, report: Report) -> RunOutcome:
    """Train until the last step, until there is no more progress, or until asked to stop.

    Goes on from the newest checkpoint in the run folder if there is one.

    Args:
        config: The resolved configuration.
        parts: What the run is made of.
        report: Hears about twice a second how far it is; in the main process only.

    Raises:
        CheckpointMismatch: If the run folder is of another network or configuration.
        CheckpointDamaged: If it holds checkpoints and none is whole.
        LossNotFinite: If the loss stayed not finite after every way out.
        TrainingOutOfMemory: If not even one patch at a time fits.
        DiskFull: If the disk stayed full.
        TrainingError: If another process trains in the folder.
    """
    stopping = EarlyStopping(patience=config.length.patience, min_rise=config.length.min_rise)
    keeper = Keeper(config, parts, stopping)
    with keeper.lock():
        return _Run(config, parts, keeper, stopping, report).go()


class _Run:
    def __init__(
        self, config: TrainingConfig, parts: RunParts, keeper: Keeper, stopping: EarlyStopping, report: Report
    ) -> None:
        self._parts, self._keeper, self._stopping, self._report = parts, keeper, stopping, report
        self._guards = parts.guards
        self._length, self._save_every = config.length, config.safety.checkpoint_every_steps
        self._epoch_steps = parts.source.batches_per_epoch
        self._total = config.length.epochs * self._epoch_steps
        self._state = RunState()
        self._pace = Pace()
        self._rate = 0.0

    def go(self) -> RunOutcome:
        try:
            outcome = self._begin()
            while outcome is None:
                outcome = self._epoch()
        finally:
            self._keeper.close()
        return outcome

    def _begin(self) -> RunOutcome | None:
        """Resume or save the first state; return the outcome if there is nothing left to do."""
        state = self._keeper.resume()
        if state is None:
            if not self._keeper.save(self._state):
                return self._outcome("stopped")
            return None
        self._state = state
        return self._close_step() if state.step else None

    def _epoch(self) -> RunOutcome | None:
        """Train to the end of the epoch, or until going back or ending; return the outcome if that was it."""
        epoch, start = divmod(self._state.step, self._epoch_steps)
        self._pace.begin()
        for batch in self._parts.source.batches(epoch, start=start):
            if not self._step(batch):
                return None
            self._pace.end()
            outcome = self._close_step()
            if outcome is not None:
                return outcome
            self._pace.begin()
        return None

    def _step(self, batch: Batch) -> bool:
        """Make a step; return whether it was made: otherwise the run has gone back."""
        step = self._state.step + 1
        if self._guards.finite.leaves_out(step):
            self._state.step = self._guards.events.step = step
            self._keeper.note({"step": step, "left_out": True})
            return True
        self._rate = rate = self._parts.schedule.rate(step)
        result = self._guarded(batch, rate)
        if result is None:
            self._guards.batch.shrink("memory ran out while weights were being changed")
            self._go_back(1.0)
            return False
        rollback = self._guards.finite.check(step, result, rate=rate, cases=batch.cases)
        if rollback is not None:
            self._go_back(rollback.rate_factor)
            return False
        self._state.step = self._guards.events.step = step
        self._take_down(result)
        return True

    def _guarded(self, batch: Batch, rate: float) -> StepResult | None:
        """Make the step in pieces that fit; return `None` if memory ran out so late that the weights are torn."""
        try:
            return self._guards.batch.run(
                lambda micro_batch: self._parts.learner.step(batch, micro_batch=micro_batch, rate=rate)
            )
        except UpdateTorn:
            return None

    def _go_back(self, rate_factor: float) -> None:
        self._state = self._keeper.go_back()
        self._parts.schedule.scale(rate_factor)
        self._guards.events.step = self._state.step
        self._keeper.save(self._state)  # or a run that is killed now would not know that it went back

    def _take_down(self, result: StepResult) -> None:
        state = self._state
        values = {"loss": result.loss, "rate": self._rate, "gradient_norm": result.gradient_norm, **result.values}
        if result.skipped:
            self._keeper.note({"step": state.step, "skipped": True})
            return
        state.add(result.loss)
        self._keeper.note({"step": state.step, **values})
        if state.step % _TRACK_EVERY == 0:
            shown = {f"train/{name}": value for name, value in values.items()}
            shown["train/loss"] = state.close_window() or result.loss
            shown["speed/steps_per_s"] = self._pace.steps_per_s
            shown["memory/micro_batch"] = float(self._guards.batch.size)
            if state.step % _MEMORY_EVERY == 0:
                shown |= self._guards.memory.numbers()
            self._track(shown)

    def _close_step(self) -> RunOutcome | None:
        """Do what is due after a step: validate, save, report, end."""
        state = self._state
        if state.step % self._epoch_steps == 0:
            self._close_epoch()
        validator = self._due_validator()
        try:
            validated = None if validator is None else self._validate(validator)
        except _Stopped:
            return self._stop()
        ended: Status | None = "finished" if state.step >= self._total else "early" if self._stopping.is_due else None
        if ended is None and self._guards.stop.agreed(self._parts.world):
            return self._stop()
        if (validated or ended or state.step % self._save_every == 0) and not self._save(anew=validated is not None):
            return self._outcome("stopped")
        self._tell(validated, last=ended is not None)
        return None if ended is None else self._outcome(ended)

    def _close_epoch(self) -> None:
        mean = self._state.close_epoch()
        if mean is None:
            return
        epoch = self._state.step // self._epoch_steps - 1
        self._keeper.note({"step": self._state.step, "epoch": epoch, "epoch_loss": mean})
        self._track({"train/epoch_loss": mean, "train/epoch": float(epoch)})

    def _due_validator(self) -> Validator | None:
        state = self._state
        if state.validated_step == state.step or state.step % self._epoch_steps:
            return None
        due = state.step // self._epoch_steps % self._length.validate_every == 0 or state.step >= self._total
        return self._parts.validator if due else None

    def _validate(self, validator: Validator) -> ValidationResult:
        self._parts.world.check_same(self._parts.learner.network)
        network = self._parts.learner.evaluated
        with self._interruptible(network):
            result = validator.validate(network)
        step = self._state.step
        score = self._parts.world.broadcast(result.score)
        self._parts.schedule.observe(score)
        self._stopping.observe(score, step)
        self._state.validated_step = step
        cases = [{"case": c.case, "phantom": c.phantom, "dice": dict(c.dice)} for c in result.cases]
        self._keeper.note({"step": step, "score": score, "dice": dict(result.mean_dice), "cases": cases})
        shown = {f"validation/dice/{name}": value for name, value in result.mean_dice.items()}
        self._track({**shown, "validation/score": score, "validation/seconds": result.seconds})
        if self._parts.world.is_main and result.overlays:
            self._parts.tracker.overlays(step, result.overlays)
        return result

    @contextmanager
    def _interruptible(self, network: nn.Module) -> Iterator[None]:
        """Let a wish to stop end a validation, which may be longer than the time that is left."""
        if self._parts.world.size > 1:  # the others would wait
            yield
            return

        def look(*_: object) -> None:
            if self._guards.stop.requested:
                raise _Stopped

        hook = network.register_forward_pre_hook(look)
        try:
            yield
        finally:
            hook.remove()

    def _stop(self) -> RunOutcome:
        self._save()
        self._tell(None, last=True)
        return self._outcome("stopped")

    def _save(self, *, anew: bool = False) -> bool:
        return (self._keeper.saved_step == self._state.step and not anew) or self._keeper.save(self._state)

    def _outcome(self, status: Status) -> RunOutcome:
        step, saved = self._state.step, self._keeper.saved_step
        reasons = {
            "finished": f"all {self._total} steps are done",
            "early": f"{self._stopping.without_progress} validations in a row brought no progress",
            "stopped": self._guards.stop.reason or "somebody asked for an end",
        }
        reason = reasons[status]
        if saved != step:
            reason += f"; the disk was full, so the run will go on from step {max(saved, 0)}"
        return RunOutcome(
            status=status,
            step=step,
            best_score=self._stopping.best_score,
            best_step=self._stopping.best_step,
            reason=reason,
        )

    def _track(self, values: Mapping[str, float]) -> None:
        if self._parts.world.is_main:
            self._parts.tracker.metrics(self._state.step, values)

    def _tell(self, validation: ValidationResult | None, *, last: bool) -> None:
        if not self._parts.world.is_main or not (self._pace.is_report_due() or validation or last):
            return
        device, state = self._parts.device, self._state
        progress = Progress(
            step=state.step,
            total_steps=self._total,
            epoch=max(0, state.step - 1) // self._epoch_steps,
            loss=math.nan if state.loss is None else state.loss,
            rate=self._rate,
            steps_per_s=self._pace.steps_per_s,
            eta_s=self._pace.eta_s(self._total - state.step),
            micro_batch=self._guards.batch.size,
            rss_bytes=host_memory.resident_bytes(),
            vram_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
            validation=validation,
        )
        self._report(progress)
