"""Options that several commands share."""

import re
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli.errors import UsageFault
from tds_data.vocabulary import Modality

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_GIB: Final = 1024**3


class Device(StrEnum):
    """Where the model runs."""

    CPU = "cpu"
    GPU = "gpu"
    AUTO = "auto"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of text.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show log messages on stderr.")]
ModelFolder = Annotated[Path | None, typer.Option("--model", help="Model bundle; the shipped one by default.")]
Trust = Annotated[
    list[str] | None, typer.Option("--trust", metavar="SHA256", help="Accept a bundle with this manifest hash.")
]
OnDevice = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
MaxRam = Annotated[
    float | None, typer.Option("--max-ram", metavar="GIB", help="Refuse a study that needs more memory than this.")
]


def parse_trust(hashes: list[str] | None) -> tuple[str, ...]:
    """Return the hashes that are to be trusted, in lower case.

    Args:
        hashes: As given on the command line.

    Raises:
        UsageFault: If one is no SHA-256.
    """
    return tuple(parse_sha256(text, "--trust") for text in hashes or ())


def parse_sha256(text: str, option: str) -> str:
    """Return a hash in lower case.

    Args:
        text: As given on the command line.
        option: With which option.

    Raises:
        UsageFault: If it is no SHA-256.
    """
    if not _SHA256.fullmatch(text):
        message = f"{option} takes a SHA-256 of 64 hexadecimal digits; {text[:80]!r} is none"
        raise UsageFault(message)
    return text.lower()


def parse_three(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Return three numbers above 0, along x, y, z; `None` for nothing.

    Args:
        text: As given on the command line: three numbers, or one for all three.
        option: With which option.

    Raises:
        UsageFault: If it is neither.

    Examples:
        >>> parse_three("128,128,96", "--patch")
        (128.0, 128.0, 96.0)
    """
    if text is None:
        return None
    parts = text.split(",")
    try:
        numbers = [float(part) for part in (parts * 3 if len(parts) == 1 else parts)]
        x, y, z = numbers
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number < float("inf") for number in numbers):
        message = f"{option} takes three numbers above 0 such as 128,128,96, or one for all; {text[:80]!r} was given"
        raise UsageFault(message)
    return x, y, z


def parse_max_ram(gib: float | None) -> int | None:
    """Return a memory limit in bytes.

    Args:
        gib: The limit in GiB, as given on the command line.

    Raises:
        UsageFault: If it is not above 0.
    """
    if gib is None:
        return None
    if not 0 < gib < float("inf"):
        message = f"--max-ram takes a number of GiB above 0; {gib:g} was given"
        raise UsageFault(message)
    return int(gib * _GIB)


def parse_series(choices: list[str] | None) -> dict[Modality, str]:
    """Return which DICOM series to read as which sequence.

    Args:
        choices: `MODALITY=SERIES` each, as given on the command line.

    Raises:
        UsageFault: If one is malformed, or a sequence or a series is chosen twice.

    Examples:
        >>> parse_series(["t1ce=7"])
        {<Modality.T1CE: 't1ce'>: '7'}
    """
    chosen: dict[Modality, str] = {}
    for text in choices or ():
        name, _, series = text.partition("=")
        if name.lower() not in set(Modality) or not series.strip():
            message = f"--series takes MODALITY=NUMBER with t1, t1ce, t2 or flair, such as t1ce=7; {text!r} was given"
            raise UsageFault(message)
        modality = Modality(name.lower())
        if modality in chosen:
            message = f"--series names {modality} twice; keep one of them"
            raise UsageFault(message)
        if series.strip() in chosen.values():
            message = f"--series gives series {series.strip()} to two sequences; a series is one of them"
            raise UsageFault(message)
        chosen[modality] = series.strip()
    return chosen


def parse_day(text: str, option: str) -> date:
    """Return a day.

    Args:
        text: Such as `2026-03-31`.
        option: Which option it is from, for the message.

    Raises:
        UsageFault: If it is none.

    Examples:
        >>> parse_day("2026-03-31", "--at")
        datetime.date(2026, 3, 31)
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"{option} takes a day such as 2026-03-31; {text[:80]!r} was given"
        raise UsageFault(message) from error
