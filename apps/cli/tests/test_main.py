import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from tds_cli import main as entry
from tds_cli.commands import model as model_command

Tds = Callable[..., tuple[int, str, str]]

HEAVY = ("torch", "monai", "numpy", "scipy", "nibabel", "pydicom", "openvino", "PIL", "jinja2", "rich", "structlog")
HELP_S = 0.3


def python(code: str) -> str:
    return subprocess.run(  # noqa: S603  # this interpreter, fixed code
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"], ["model"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    loaded = python(
        f"import sys\nfrom tds_cli.main import run\nrun({arguments!r})\nprint(*sys.modules, file=sys.stdout)"
    )
    modules = set(loaded.splitlines()[-1].split())
    assert "typer" in modules
    assert modules.isdisjoint(HEAVY)


def test_help_answers_in_under_three_tenths_of_a_second_of_work() -> None:
    code = "import time\nfrom tds_cli.main import run\nrun(['--help'])\nprint(time.process_time())"
    # Processor time, so that a busy machine does not fail the test; start-up of the interpreter included.
    assert min(float(python(code).splitlines()[-1]) for _ in range(3)) < HELP_S


def test_help_lists_the_commands(tds: Tds) -> None:
    code, out, _ = tds("--help")
    assert code == 0
    assert all(f"\n  {name} " in out for name in ("segment", "demo", "evaluate", "model"))
    assert "Research use only" in out


def test_no_arguments_give_the_help(tds: Tds) -> None:
    assert tds() == tds("--help")


def test_version(tds: Tds) -> None:
    assert tds("--version") == (0, f"tds {version('tds-cli')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["frobnicate"], "frobnicate"),
        (["model"], "Missing command"),
        (["segment"], "INPUT"),
        (["segment", "study"], "--output"),
        (["segment", "study", "-o", "out", "--device", "abacus"], "abacus"),
        (["segment", "study", "-o", "out", "--modality", "ct"], "ct"),
        (["segment", "study", "-o", "out", "--max-ram", "much"], "--max-ram"),
        (["demo", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_command_line_is_a_usage_error_on_stderr(tds: Tds, arguments: list[str], told: str) -> None:
    code, out, err = tds(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert "what to do: " in err


def test_usage_error_as_json_is_one_object_on_stdout(tds: Tds) -> None:
    code, out, err = tds("segment", "study", "--frob", "--json")
    error = json.loads(out)["error"]
    assert code == error["exit_code"] == 2
    assert set(error) == {"code", "type", "message", "exit_code"}
    assert error["code"] == "usage"
    assert err.startswith("error: ")


def break_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_hashes: object) -> None:
        raise error

    monkeypatch.setattr(model_command, "parse_trust", fail)


def test_fault_of_the_program_is_told_as_one_without_a_traceback(tds: Tds, monkeypatch: pytest.MonkeyPatch) -> None:
    break_command(monkeypatch, ZeroDivisionError("division by zero"))
    code, out, err = tds("model", "show")
    assert (code, out) == (1, "")
    assert "unexpected ZeroDivisionError: division by zero" in err
    assert "Traceback" not in err


def test_verbose_shows_the_traceback(tds: Tds, monkeypatch: pytest.MonkeyPatch) -> None:
    break_command(monkeypatch, ZeroDivisionError("division by zero"))
    assert "Traceback" in tds("model", "show", "--verbose")[2]


def test_keyboard_interrupt_exits_as_shells_expect(tds: Tds, monkeypatch: pytest.MonkeyPatch) -> None:
    break_command(monkeypatch, KeyboardInterrupt())
    assert tds("model", "show")[0] == 130


def test_main_exits_with_the_code_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tds", "frobnicate"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2


def test_python_can_run_the_package() -> None:
    start = time.perf_counter()
    done = subprocess.run(  # this interpreter, fixed arguments
        [sys.executable, "-m", "tds_cli", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("tds ")
    assert time.perf_counter() - start < 60


def program(arguments: list[str], stdout: int | None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tds_cli", *arguments]
    return subprocess.run(  # noqa: S603  # this interpreter, the test's own arguments
        command, check=False, stdout=stdout, stderr=subprocess.PIPE, text=True
    )


COMMANDS = [["model", "show"], ["model", "show", "--json"], ["frobnicate", "--json"], ["--help"], ["--version"]]


def is_told_in_two_lines(err: str) -> bool:
    return err.startswith("error: ") and "\n  what to do: " in err and len(err.splitlines()) == 2


@pytest.mark.parametrize("arguments", COMMANDS)
def test_reader_that_has_gone_away_is_an_error_without_a_traceback(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = program(arguments, writer)
    finally:
        os.close(writer)
    assert done.returncode == (2 if "frobnicate" in arguments else 1)
    assert is_told_in_two_lines(done.stderr)
    assert "unexpected" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_full_disk_behind_stdout_is_an_error_without_a_traceback(arguments: list[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = program(arguments, full.fileno())
    assert done.returncode == (2 if "frobnicate" in arguments else 1)
    assert is_told_in_two_lines(done.stderr)
    assert "unexpected" not in done.stderr


def test_process_without_stdout_and_stderr_still_says_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert entry.run(["model", "show"]) == 1
    assert entry.run(["model", "verify", "--device", "abacus"]) == 2
