"""Tasks in processes of their own. The work is `eval`, which every interpreter can import."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tds_data.errors import WorkersNotStarted
from tds_data.quality import isolation
from tds_data.quality.isolation import DIED, run_isolated

DIE = "__import__('os')._exit(9)"


def ended(tasks: list[str], *, workers: int = 2) -> dict[str, tuple[object, str]]:
    return {o.task: (o.result, o.fault) for o in run_isolated(eval, tasks, workers=workers)}


def test_results_and_exceptions_are_outcomes() -> None:
    outcomes = ended(["1 + 1", "1 / 0", "__import__('tds_data.errors').errors.MissingDependency('a', 'b').missing"])
    assert outcomes["1 + 1"] == (2, "")
    assert outcomes["1 / 0"] == (None, "ZeroDivisionError: division by zero")
    assert any("AttributeError" in fault for _, fault in outcomes.values())


def test_task_whose_process_dies_is_known_and_the_others_go_on() -> None:
    tasks = [*(f"{n} * 10" for n in range(5)), DIE, *(f"{n} * 10" for n in range(5, 9))]
    outcomes = ended(tasks)
    assert outcomes.pop(DIE) == (None, DIED)
    assert sorted(result for result, _ in outcomes.values()) == list(range(0, 90, 10))
    assert all(fault == "" for _, fault in outcomes.values())


def test_several_deaths_in_a_row_are_told_apart() -> None:
    tasks = [DIE, f"{DIE} # again", "7", f"{DIE} # and again"]
    outcomes = ended(tasks, workers=1)
    assert outcomes.pop("7") == (7, "")
    assert set(outcomes.values()) == {(None, DIED)}
    assert len(outcomes) == 3


def test_no_more_tasks_are_begun_than_there_are_workers_and_taken_results(tmp_path: Path) -> None:
    tasks = [f"__import__('pathlib').Path({str(tmp_path / str(n))!r}).touch()" for n in range(12)]
    outcomes = run_isolated(eval, tasks, workers=2)
    next(outcomes)
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) <= 2
    assert len(list(outcomes)) == 11
    assert len(list(tmp_path.iterdir())) == 12


def test_nothing_to_do_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_pool", None)
    assert list(run_isolated(eval, [], workers=2)) == []


def test_script_that_cannot_be_imported_again_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from tds_data.errors import WorkersNotStarted\n"
        "from tds_data.quality.isolation import run_isolated\n"
        "try:\n"
        "    list(run_isolated(abs, [1], workers=1))\n"
        "except WorkersNotStarted as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    assert "if __name__ == '__main__'" in done.stdout
    assert issubclass(WorkersNotStarted, RuntimeError)


def test_workers_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    warn = "__import__('warnings').warn('noise')"
    log = "__import__('logging').getLogger('tds_data').warning('noise')"
    assert len(ended([warn, log], workers=1)) == 2
    assert "noise" not in capfd.readouterr().err


def test_process_that_dies_between_tasks_costs_no_task() -> None:
    late_death = "__import__('threading').Timer(0.1, lambda: __import__('os')._exit(9)).start()"
    outcomes = run_isolated(eval, [late_death, "1 + 1", "2 + 2"], workers=1)
    assert next(outcomes).fault == ""
    time.sleep(1)
    assert [outcome.result for outcome in outcomes] == [2, 4]


def test_machine_that_starts_no_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pool:
        def __init__(self, *_: object, **__: object) -> None:
            self.is_shut = False

        def submit(self, _: object) -> None:
            raise OSError(11, "Resource temporarily unavailable")

        def shutdown(self, **_: object) -> None:
            self.is_shut = True

    monkeypatch.setattr(isolation, "ProcessPoolExecutor", Pool)
    with pytest.raises(WorkersNotStarted, match="cannot be started"):
        list(run_isolated(abs, [1], workers=1))


def test_attempt_returns_what_was_raised_in_words() -> None:
    assert isolation._attempt(abs, -1) == 1
    assert isolation._attempt(int, "x") == isolation._Fault(
        words="ValueError: invalid literal for int() with base 10: 'x'"
    )


def test_workers_use_one_thread_for_linear_algebra_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in isolation._THREAD_COUNTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    ask = "__import__('time').sleep(0.3) or [__import__('os').environ.get(n) for n in {names!r}] + [{number}]"
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    outcomes = ended([ask.format(names=names, number=number) for number in range(4)], workers=2)
    assert sorted(result for result, _ in outcomes.values()) == [["1", "3", number] for number in range(4)]
    assert "OPENBLAS_NUM_THREADS" not in os.environ
