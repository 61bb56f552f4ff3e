"""How far a training run is: a display on a terminal, lines elsewhere, JSON for programs; always on stderr."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from tds_cli import output
from tds_cli.training_words import (
    RESEARCH,
    duration,
    in_words,
    progress_document,
    state,
    subjects,
    validation_document,
)

if TYPE_CHECKING:  # keeps `tds --help` quick
    from rich.console import RenderableType

    from tds_core.training.engine import Progress, ValidationResult

LINE_EVERY_S: Final = 30.0
"""Seconds between plain lines."""

JSON_EVERY_S: Final = 5.0
"""Seconds between JSON lines."""

_BAR: Final = 30


class View(Protocol):
    """Shows a run."""

    def stage(self, name: str) -> None:
        """Show what the run is doing now.

        Args:
            name: A few words.
        """
        ...

    def work(self, done: int, total: int, what: str) -> None:
        """Show how many of something are done.

        Args:
            done: That many.
            total: Of so many.
            what: Of what.
        """
        ...

    def report(self, progress: "Progress") -> None:
        """Show how training goes.

        Args:
            progress: Where it stands.
        """
        ...


@dataclass(slots=True)
class Story:
    """What of a run is worth remembering from one report to the next.

    Attributes:
        last: The latest validation and its step.
        best: The validation with the highest score and its step.
        micro_batch: Size at the last report.
        step: At the last report.
    """

    last: "tuple[int, ValidationResult] | None" = None
    best: "tuple[int, ValidationResult] | None" = None
    micro_batch: int | None = None
    step: int = 0

    def hear(self, progress: "Progress") -> list[str]:
        """Take a report and return what happened besides learning; for people the log says more of it.

        Args:
            progress: Where the run stands.
        """
        happened = []
        if progress.step < self.step:
            happened.append(f"went back from step {self.step} to step {progress.step}")
        if self.micro_batch is not None and progress.micro_batch < self.micro_batch:
            happened.append(f"micro-batch of {self.micro_batch} made smaller: {progress.micro_batch} patches at once")
        self.step, self.micro_batch = progress.step, progress.micro_batch
        if progress.validation is not None:
            self.last = progress.step, progress.validation
            if self.best is None or progress.validation.score > self.best[1].score:
                self.best = self.last
        return happened


@contextmanager
def training_progress(*, steps_per_epoch: int, as_json: bool = False) -> Iterator[View]:
    """Give a view of a run: of bars on a terminal, of lines elsewhere.

    Args:
        steps_per_epoch: Optimiser steps of an epoch.
        as_json: Whether a program reads along: then each line is a JSON object.
    """
    if as_json:
        yield JsonView()
    elif not output.is_terminal():
        yield LineView()
    else:
        from rich.console import Console  # noqa: PLC0415  # only a terminal needs it
        from rich.live import Live  # noqa: PLC0415  # as above

        # Without a thread that refreshes: processes that make patches are forked from this one.
        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            yield LiveView(lambda shown: live.update(shown, refresh=True), steps_per_epoch)


@dataclass(slots=True)
class LineView:
    """A line now and then.

    Attributes:
        every_s: Seconds between lines.
        clock: Seconds, never falling.
    """

    every_s: float = LINE_EVERY_S
    clock: Callable[[], float] = time.monotonic
    _story: Story = field(default_factory=Story)
    _due: float = -math.inf
    _what: str = ""

    def stage(self, name: str) -> None:
        """Write a line.

        Args:
            name: What the run is doing now.
        """
        output.tell(name)

    def work(self, done: int, total: int, what: str) -> None:
        """Write a line when something else is begun.

        Args:
            done: Ignored.
            total: Of how many.
            what: Of what.
        """
        if what != self._what and done < total:
            self._what = what
            output.tell(f"{what}: {total} to do")

    def report(self, progress: "Progress") -> None:
        """Write a line if it is time, and after each validation.

        Args:
            progress: Where the run stands.
        """
        self._story.hear(progress)
        if progress.validation is not None:
            output.tell(f"validation at step {progress.step}: {in_words(progress.validation)}")
            if self._story.best is not None and self._story.best[0] != progress.step:
                step, best = self._story.best
                output.tell(f"  best so far at step {step}: mean Dice {best.score:.3f}")
        now = self.clock()
        if now >= self._due or progress.step == progress.total_steps:
            self._due = now + self.every_s
            output.tell(
                f"step {progress.step} of {progress.total_steps}, epoch {progress.epoch + 1}: {state(progress)}"
            )


@dataclass(slots=True)
class JsonView:
    """JSON objects, one a line.

    Attributes:
        every_s: Seconds between reports without a validation.
        clock: Seconds, never falling.
    """

    every_s: float = JSON_EVERY_S
    clock: Callable[[], float] = time.monotonic
    _story: Story = field(default_factory=Story)
    _due: float = -math.inf

    def stage(self, name: str) -> None:
        """Write `{"type": "stage"}`.

        Args:
            name: What the run is doing now.
        """
        output.tell_json({"type": "stage", "stage": name})

    def work(self, done: int, total: int, what: str) -> None:
        """Write `{"type": "work"}` for the first and the last of something, and now and then between.

        Args:
            done: That many.
            total: Of so many.
            what: Of what.
        """
        if self._is_due() or done in {0, 1, total}:
            output.tell_json({"type": "work", "done": done, "total": total, "what": what})

    def report(self, progress: "Progress") -> None:
        """Write `{"type": "progress"}` if it is time, and `{"type": "validation"}` after each validation.

        Args:
            progress: Where the run stands.
        """
        for line in self._story.hear(progress):
            output.tell_json({"type": "event", "step": progress.step, "event": line})
        if progress.validation is not None:
            output.tell_json(validation_document(progress.step, progress.validation))
        if self._is_due() or progress.step == progress.total_steps:
            output.tell_json(progress_document(progress))

    def _is_due(self) -> bool:
        now = self.clock()
        if now < self._due:
            return False
        self._due = now + self.every_s
        return True


class LiveView:
    """Bars and a table that stay in their place; what is logged appears above them.

    Args:
        show: Draws.
        steps_per_epoch: Optimiser steps of an epoch.
    """

    def __init__(self, show: "Callable[[RenderableType], None]", steps_per_epoch: int) -> None:
        self._show, self._epoch_steps = show, steps_per_epoch
        self._story, self._stage = Story(), ""

    def stage(self, name: str) -> None:
        """Show one line.

        Args:
            name: What the run is doing now.
        """
        from rich.text import Text  # noqa: PLC0415  # only a terminal needs it

        self._stage = name
        self._show(Text(name))

    def work(self, done: int, total: int, what: str) -> None:
        """Show a bar.

        Args:
            done: That many.
            total: Of so many.
            what: Of what.
        """
        self._show(_bars([(f"{self._stage}: {what}" if self._stage else what, done, total, "")]))

    def report(self, progress: "Progress") -> None:
        """Show bars, numbers and validations.

        Args:
            progress: Where the run stands.
        """
        from rich.console import Group  # noqa: PLC0415  # only a terminal needs it
        from rich.text import Text  # noqa: PLC0415  # as above

        self._story.hear(progress)
        in_epoch = progress.step - progress.epoch * self._epoch_steps
        epochs = math.ceil(progress.total_steps / self._epoch_steps)
        bars = _bars(
            [
                (f"epoch {progress.epoch + 1} of {epochs}", in_epoch, self._epoch_steps, ""),
                ("run", progress.step, progress.total_steps, f"{duration(progress.eta_s)} left"),
            ]
        )
        parts: list[RenderableType] = [bars, Text(state(progress))]
        if self._story.last is not None and self._story.best is not None:
            parts.append(_validations({"last": self._story.last, "best": self._story.best}))
        self._show(Group(*parts, Text(RESEARCH)))


def _bars(rows: list[tuple[str, int, int, str]]) -> "RenderableType":
    from rich.progress_bar import ProgressBar  # noqa: PLC0415  # only a terminal needs it
    from rich.table import Table  # noqa: PLC0415  # as above

    grid = Table.grid(padding=(0, 1))
    for name, done, total, note in rows:
        grid.add_row(name, ProgressBar(total=total, completed=done, width=_BAR), f"{done} of {total}", note)
    return grid


def _validations(rows: "Mapping[str, tuple[int, ValidationResult]]") -> "RenderableType":
    from rich.table import Table  # noqa: PLC0415  # only a terminal needs it

    results = [result for _, result in rows.values()]
    table = Table(title=f"validation Dice on {subjects(results[0])}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("step", justify="right")
    for region in (*results[0].mean_dice, "mean"):
        table.add_column(region, justify="right")
    for name, (step, result) in rows.items():
        scores = [f"{dice:.3f}" for dice in (*result.mean_dice.values(), result.score)]
        table.add_row(name, str(step), *scores)
    return table
