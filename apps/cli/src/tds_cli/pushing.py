"""What is sent to a FHIR server: a result's bundle and a token, read from files."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tds_cli.errors import UsageFault

BUNDLE_NAME: Final = "fhir.json"
TOKEN_VARIABLE: Final = "TDS_FHIR_TOKEN"  # noqa: S105  # the name of a variable, not a token

_MOST_BYTES: Final = 1 << 30
_MOST_TOKEN_BYTES: Final = 1 << 16
_TOKEN: Final = re.compile(r"[!-~]+")


def read_bundle(result: Path) -> dict[str, Any]:
    """Return the bundle of a result.

    Args:
        result: Folder that `tds segment` made of a DICOM study.

    Raises:
        UsageFault: If there is no bundle in it that can be read.
    """
    try:
        document = json.loads(_bytes_of(result / BUNDLE_NAME), parse_constant=_refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        message = f"{BUNDLE_NAME} is damaged; segment the study again"
        raise UsageFault(message) from None
    if not isinstance(document, dict):
        message = f"{BUNDLE_NAME} is no FHIR bundle; segment the study again"
        raise UsageFault(message)
    return document


def read_token(file: Path | None) -> str | None:
    """Return the bearer token, which is never an argument, because others can see those.

    Args:
        file: A file with nothing else in it; the variable `TDS_FHIR_TOKEN` is read without one.

    Returns:
        The token; `None` if there is none.

    Raises:
        UsageFault: If the file cannot be read, or what is there is no token.
    """
    if file is None:
        token, source = os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE
        if not token:
            return None
    else:
        token, source = _text_of(file), "the token's file"
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        message = f"{source} holds no token; it must hold one and nothing else"
        raise UsageFault(message)
    return token


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size <= _MOST_BYTES:
            return path.read_bytes()
        message = f"{BUNDLE_NAME} is larger than a bundle can be; give the folder of a result"
    except FileNotFoundError:
        message = f"the folder holds no {BUNDLE_NAME}; give one that tds segment made of a DICOM study"
    except OSError as error:
        message = f"{BUNDLE_NAME} cannot be read ({error.strerror or type(error).__name__}); check the folder"
    raise UsageFault(message)


def _refuse_constant(name: str) -> None:
    message = f"{BUNDLE_NAME} is damaged ({name} is no number of JSON); segment the study again"
    raise UsageFault(message)


def _text_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_TOKEN_BYTES).decode("ascii", "replace")
    except OSError as error:
        message = f"the token's file cannot be read ({error.strerror or type(error).__name__}); check --token-file"
        raise UsageFault(message) from None


def count_kinds(bundle: dict[str, Any]) -> dict[str, int]:
    """Return how many resources of each kind a bundle has, in its order.

    Args:
        bundle: As `read_bundle` returns it.

    Raises:
        UsageFault: If it is no bundle of resources.
    """
    try:
        return dict(Counter(str(entry["resource"]["resourceType"]) for entry in bundle["entry"]))
    except (KeyError, TypeError):
        message = f"{BUNDLE_NAME} is no FHIR bundle of results; segment the study again"
        raise UsageFault(message) from None
