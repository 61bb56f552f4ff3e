"""The only module that prints: results on stdout, errors and progress on stderr."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from tds_cli.errors import OutputLost
from tds_cli.exit_codes import Failure


class Progress(Protocol):
    """Hears what the program is doing now."""

    def __call__(self, stage: str) -> None:
        """Take note.

        Args:
            stage: A few words.
        """
        ...


def say(text: str = "") -> None:
    """Print a line for people on stdout.

    Args:
        text: The line.

    Raises:
        OutputLost: If stdout takes nothing more; so for everything here that prints on it.
    """
    _write(f"{text}\n")


def say_json(document: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout.

    Args:
        document: Plain JSON types.
    """
    _write(json_text(document))


def finish() -> None:
    """Hand on what is still in stdout's buffer.

    Raises:
        OutputLost: If stdout does not take it.
    """
    _write("", flush=True)


def json_text(document: Mapping[str, Any]) -> str:
    """Return a JSON object as indented text that ends with a line break.

    Args:
        document: Plain JSON types; numbers are finite.
    """
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def say_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with its columns aligned: the first to the left, the others to the right.

    Args:
        heads: One for each column.
        rows: As many cells as heads each.
    """
    widths = [max(len(line[i]) for line in (heads, *rows)) for i in range(len(heads))]
    for line in (heads, *rows):
        cells = [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
        say("  ".join(cells).rstrip())


def say_fields(document: Mapping[str, Any], *, indent: int = 0) -> None:
    """Print an object as lines of names and values, objects inside it indented.

    Args:
        document: Plain JSON types.
        indent: Spaces before each line.
    """
    for name, value in document.items():
        start = f"{' ' * indent}{name}:"
        if isinstance(value, Mapping):
            say(start)
            say_fields(value, indent=indent + 2)
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            say(f"{start} {shown}")


def tell_failure(failure: Failure, error: BaseException, *, as_json: bool) -> None:
    """Print an error: for people on stderr, for programs as a JSON object on stdout.

    Args:
        failure: How to tell it.
        error: The error itself, for its type.
        as_json: Whether a program reads along.
    """
    if as_json:
        entry = {
            "code": failure.code,
            "type": type(error).__name__,
            "message": failure.message,
            "exit_code": int(failure.exit_code),
        }
        with suppress(OutputLost):  # perhaps the very error that is told
            say_json({"error": entry})
            finish()
    if sys.stderr is not None:
        with suppress(OSError):  # nowhere is left to tell it; the exit code remains
            sys.stderr.write(f"error: {failure.message}\n  what to do: {failure.hint}\n")


def is_terminal() -> bool:
    """Return whether somebody watches stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


def tell(text: str) -> None:
    """Print a line for people on stderr, if there is one that takes it.

    Args:
        text: The line.
    """
    if sys.stderr is not None:
        with suppress(OSError):  # nobody hears how far the work is; that does not end it
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def tell_json(document: Mapping[str, Any]) -> None:
    """Print a JSON object as one line on stderr.

    Args:
        document: Plain JSON types; numbers are finite.
    """
    tell(json.dumps(document, ensure_ascii=False, allow_nan=False))


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """Give a callback that shows what is going on, if stderr is a terminal, and is silent otherwise."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs it

    with Console(stderr=True).status("starting") as status:

        def show(stage: str) -> None:
            status.update(stage)

        yield show


def _silent(stage: str) -> None:
    """Show nothing."""


def _write(text: str, *, flush: bool = False) -> None:
    if sys.stdout is None:  # the process was started without one
        message = "stdout is closed"
        raise OutputLost(message)
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except OSError as error:
        _drop_buffer()
        message = f"stdout cannot be written ({error.strerror or type(error).__name__})"
        raise OutputLost(message) from error


def _drop_buffer() -> None:
    """Point stdout at nothing, so that the interpreter does not stumble over its buffer once more at the end."""
    with suppress(OSError):  # a stdout that is no file has no number
        number = sys.stdout.fileno()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, number)
        os.close(nothing)
