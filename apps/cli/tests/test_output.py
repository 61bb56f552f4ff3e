import io
import sys

import pytest

from tds_cli import output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_table(["case", "Dice"], [["a", "0.5"], ["longer", "0.25"]])
    assert capsys.readouterr().out == "case    Dice\na        0.5\nlonger  0.25\n"


def test_fields_are_printed_with_their_depth(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_fields({"name": "m", "labels": ["a", "b"], "inside": {"x": 1}})
    assert capsys.readouterr().out == "name: m\nlabels: a, b\ninside:\n  x: 1\n"


def test_json_refuses_what_other_readers_could_not_read() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        output.json_text({"dice": float("nan")})


def test_progress_is_silent_unless_stderr_is_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress_on_stderr() as progress:
        progress("reading")
    assert capsys.readouterr() == ("", "")


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress_on_stderr() as progress:
        progress("reading the study")
    assert "reading the study" in terminal.getvalue()
