"""A run's checkpoints and metrics, kept in step: what one knows, the other has."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from tds_core.errors import CheckpointDamaged, CheckpointMismatch
from tds_core.training.config import TrainingConfig, to_document
from tds_core.training.engine.matching import check_config, check_network, shapes
from tds_core.training.engine.metric_log import METRICS_NAME, MetricLog
from tds_core.training.engine.parts import RunParts
from tds_core.training.engine.protocols import Learner
from tds_core.training.engine.state import RunState
from tds_core.training.engine.stopping import EarlyStopping
from tds_core.training.engine.store import CheckpointStore

CHECKPOINT_FOLDER: Final = "checkpoints"
"""Name of the folder of checkpoints in a run folder."""

_FORMAT: Final = 1


class Keeper:
    """Saves a run and brings it back. The main process writes and reads; the others hear from it.

    Args:
        config: Of the run, resolved.
        parts: Of the run.
        stopping: Part of what is saved.
    """

    def __init__(self, config: TrainingConfig, parts: RunParts, stopping: EarlyStopping) -> None:
        self._document = {**to_document(config), "identity": dict(parts.identity)}
        self._parts, self._stopping = parts, stopping
        self._store = CheckpointStore(parts.folder / CHECKPOINT_FOLDER, config.safety.keep)
        self._metrics = MetricLog(parts.folder / METRICS_NAME)
        self.saved_step = -1

    def lock(self) -> AbstractContextManager[None]:
        """Keep other runs out of the folder.

        Raises:
            TrainingError: If another process trains there.
        """
        return self._store.lock() if self._parts.world.is_main else nullcontext()

    def note(self, record: Mapping[str, object]) -> None:
        """Add a line to the metrics.

        Args:
            record: Plain JSON types; nothing that depends on the clock or the machine.
        """
        if self._parts.world.is_main:
            self._metrics.add(record)

    def close(self) -> None:
        """Write the metrics that are still held, if there is room: for people to see how an attempt ended."""
        if self._parts.world.is_main:
            with suppress(OSError):
                self._metrics.flush()

    def save(self, state: RunState) -> bool:
        """Write a checkpoint; return whether that was done: not if the run was to stop while the disk was full.

        Args:
            state: Where the run stands.

        Raises:
            DiskFull: If the disk stayed full.
            OSError: If it cannot be written for another reason.
        """
        parts = self._parts

        def write() -> int:
            whole = {
                "format": _FORMAT,
                "config": self._document,
                "network": shapes(parts.learner.network),
                "run": state.state_dict(),
                "learner": parts.learner.state_dict(),
                "schedule": parts.schedule.state_dict(),
                "stopping": self._stopping.state_dict(),
                "batch": parts.guards.batch.state_dict(),
                "finite": parts.guards.finite.state_dict(),
                "metrics_bytes": self._metrics.flush(),
            }
            path = self._store.save(whole, step=state.step, best_step=self._stopping.best_step)
            return path.stat().st_size

        done = parts.guards.disk.write(write)
        if done:
            self.saved_step = state.step
        return done

    def resume(self) -> RunState | None:
        """Bring everything back to the newest checkpoint that is whole; `None` if there are no checkpoints.

        Raises:
            CheckpointDamaged: If there are some and none is whole.
            CheckpointMismatch: If it is of another network or configuration.
        """
        state = self._read()
        if state is None:
            self._cut_metrics(0)
            return None
        check_network(state["network"], self._parts.learner.network)
        changed = check_config(state["config"], self._document)
        run = self._restore(state)
        self._parts.guards.batch.load_state_dict(state["batch"])
        self._parts.guards.finite.load_state_dict(state["finite"])
        self._parts.guards.events.step = run.step
        self._parts.guards.events("resumed", {"changed": list(changed)})
        return run

    def go_back(self) -> RunState:
        """Bring learning back to the newest checkpoint, but not what the guards learned since.

        Raises:
            CheckpointDamaged: If none is whole.
        """
        state = self._read()
        if state is None:
            message = "the run's checkpoints are gone while it runs; start it again in another folder"
            raise CheckpointDamaged(message)
        return self._restore(state)

    def _read(self) -> dict[str, Any] | None:
        world = self._parts.world
        checkpoint = self._store.latest() if world.is_main else None
        if checkpoint is not None and checkpoint.passed_over:
            self._parts.guards.events.step = checkpoint.step
            self._parts.guards.events("checkpoints_passed_over", {"damaged": list(checkpoint.passed_over)})
        state: dict[str, Any] | None = world.broadcast(None if checkpoint is None else checkpoint.state)
        if state is not None and state.get("format") != _FORMAT:
            message = f"the checkpoint has the format {state.get('format')!r}, this version reads {_FORMAT}"
            raise CheckpointMismatch(message)
        return state

    def _restore(self, state: Mapping[str, Any]) -> RunState:
        self._parts.learner.load_state_dict(state["learner"])
        self._parts.schedule.load_state_dict(state["schedule"])
        self._stopping.load_state_dict(state["stopping"])
        self._cut_metrics(int(state["metrics_bytes"]))
        run = RunState.from_state(state["run"])
        self.saved_step = run.step
        return run

    def _cut_metrics(self, length: int) -> None:
        if self._parts.world.is_main:
            self._metrics.cut(length)


def load_best(folder: Path, learner: Learner) -> int:
    """Give a learner the state with the best validation score, or the last one without validations; return its step.

    Args:
        folder: Of a run.
        learner: Of the same configuration.

    Raises:
        CheckpointDamaged: If the checkpoint is damaged, or there is none.
        CheckpointMismatch: If it is of another network.
    """
    store = CheckpointStore(folder / CHECKPOINT_FOLDER)
    checkpoint = store.latest()
    if checkpoint is None:
        message = f"there is no checkpoint in {folder.name!r}; train first"
        raise CheckpointDamaged(message)
    best = checkpoint.state["stopping"]["best_step"]
    if best is not None and best != checkpoint.step:
        checkpoint = store.load(best)
    check_network(checkpoint.state["network"], learner.network)
    learner.load_state_dict(checkpoint.state["learner"])
    return checkpoint.step
