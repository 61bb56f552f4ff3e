import io
import json
import math
import subprocess
import sys

import pytest

from tds_cli import output
from tds_cli.training_progress import JsonView, LineView, LiveView, Story, training_progress
from tds_cli.training_words import duration, in_words, progress_document, state, subjects

engine = pytest.importorskip("tds_core.training.engine", reason="needs tds-cli[train]", exc_type=ImportError)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def report(step: int = 10, **changes: object) -> engine.Progress:
    values = {
        "step": step,
        "total_steps": 400,
        "epoch": (step - 1) // 100,
        "loss": 0.25,
        "rate": 1e-3,
        "steps_per_s": 2.5,
        "eta_s": 156.0,
        "micro_batch": 4,
        "rss_bytes": 3 * 1024**3,
    }
    return engine.Progress(**(values | changes))


def validated(score: float, phantoms: tuple[bool, ...] = (False, False)) -> engine.ValidationResult:
    cases = tuple(
        engine.CaseDice(case=f"c{n}", phantom=phantom, dice={"WT": score, "ET": score})
        for n, phantom in enumerate(phantoms)
    )
    return engine.ValidationResult(cases=cases, mean_dice={"WT": score, "ET": score / 2}, score=score, seconds=1.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return made


def err(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_one_line_says_loss_rate_speed_time_and_memory() -> None:
    assert state(report()) == "loss 0.2500, rate 1.00e-03, 2.50 steps/s, 0:02:36 left, 4 at once, RAM 3.0 GiB"
    assert state(report(loss=math.nan, rss_bytes=None, vram_bytes=1024**3)).startswith("no loss yet, ")
    assert state(report(vram_bytes=1024**3)).endswith("GPU 1.0 GiB")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (3723, "1:02:03"), (90061, "1 d 1:01:01"), (math.inf, "unknown time")],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_scores_of_phantoms_are_never_shown_as_patients() -> None:
    assert subjects(validated(0.5)) == "2 patients"
    assert subjects(validated(0.5, (True,))) == "1 PHANTOM"
    assert subjects(validated(0.5, (True, True, False))) == "1 patient and 2 PHANTOMS"
    assert in_words(validated(0.5, (True,))) == "Dice WT 0.500, ET 0.250, mean 0.500 (1 PHANTOM, research use only)"


def test_a_story_keeps_the_best_validation_and_tells_what_happened() -> None:
    story = Story()
    assert story.hear(report(100, validation=validated(0.6))) == []
    assert story.hear(report(200, validation=validated(0.5))) == []
    assert story.best is not None
    assert story.last is not None
    assert (story.best[0], story.last[0]) == (100, 200)
    assert story.hear(report(150, micro_batch=2)) == [
        "went back from step 200 to step 150",
        "micro-batch of 4 made smaller: 2 patches at once",
    ]


def test_lines_come_now_and_then_and_with_each_validation(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    view = LineView(clock=clock)
    view.report(report(1))
    clock.now = 29.0
    view.report(report(2))
    assert len(err(capsys)) == 1
    view.report(report(100, validation=validated(0.6)))
    assert err(capsys) == [
        "validation at step 100: Dice WT 0.600, ET 0.300, mean 0.600 (2 patients, research use only)"
    ]
    clock.now = 31.0
    view.report(report(200, validation=validated(0.5)))
    assert err(capsys)[1:] == [
        "  best so far at step 100: mean Dice 0.600",
        f"step 200 of 400, epoch 2: {state(report())}",
    ]
    view.report(report(400))
    assert err(capsys)[-1].startswith("step 400 of 400, epoch 4")


def test_lines_tell_stages_and_each_kind_of_work_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = LineView()
    view.stage("preparing data")
    for done in range(4):
        view.work(done, 3, "caching cases")
    assert err(capsys) == ["preparing data", "caching cases: 3 to do"]


def test_every_json_line_is_an_object(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    view = JsonView(clock=clock)
    view.stage("training")
    for done in range(4):
        view.work(done, 3, "caching cases")
    clock.now = 9.0
    view.report(report(0, loss=math.nan, eta_s=math.inf))
    view.report(report(1))
    view.report(report(100, validation=validated(0.6, (True, False)), micro_batch=2))
    view.report(report(400))
    lines = [json.loads(line) for line in err(capsys)]
    assert [line["type"] for line in lines] == [
        "stage",
        "work",
        "work",
        "work",
        "progress",
        "event",
        "validation",
        "progress",
    ]
    assert (lines[4]["loss"], lines[4]["eta_s"]) == (None, None)
    assert lines[6]["dice"] == {"WT": 0.6, "ET": 0.3}
    assert (lines[6]["patients"], lines[6]["phantoms"]) == (1, 1)
    assert "Research use only" in lines[6]["notice"]
    assert progress_document(report(400)) == lines[7]


def test_a_terminal_shows_bars_numbers_and_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with training_progress(steps_per_epoch=100) as view:
        assert isinstance(view, LiveView)
        view.stage("preparing [data]")
        view.work(1, 3, "caching cases")
        view.report(report(150))
        view.report(report(200, validation=validated(0.6, (True,))))
        view.report(report(300, validation=validated(0.5, (True,)), vram_bytes=2 * 1024**3))
    shown = terminal.getvalue()
    for words in (
        "preparing [data]",
        "1 of 3",
        "epoch 2 of 4",
        "50 of 100",
        "150 of 400",
        "0:02:36 left",
        "loss 0.2500",
        "GPU 2.0 GiB",
        "validation Dice on 1 PHANTOM",
        "0.600",
        "0.500",
        "best",
        "research use only",
    ):
        assert words in shown, words


def test_work_without_a_stage_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with training_progress(steps_per_epoch=100) as view:
        view.work(2, 3, "phantoms")
    assert "2 of 3" in terminal.getvalue()


def test_a_view_is_chosen_by_who_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(steps_per_epoch=1) as view:
        assert isinstance(view, LineView)
    with training_progress(steps_per_epoch=1, as_json=True) as view:
        assert isinstance(view, JsonView)
    assert err(capsys) == []


def test_a_stderr_that_takes_nothing_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, _: str, /) -> int:
            raise BrokenPipeError

    for stream in (Closed(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert not output.is_terminal()
        output.tell("unheard")


def test_importing_it_loads_neither_rich_nor_torch() -> None:
    code = "import sys, tds_cli.training_progress\nprint([m for m in ('rich', 'torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own interpreter
    assert done.stdout.strip() == "[]"
