"""The ledger of measured figures: `claims.yaml`, and whether its artefacts say what it says.

::

    LedgerError (ValueError)   the ledger itself cannot be read
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

SUBJECTS: Final = ("patient", "phantom", "system")
"""Whom a figure is about: patients, synthetic patients, or the software itself (time, memory, size)."""

NUMBER: Final = re.compile(r"\d+(?:\.(\d+))?")
ARTEFACT_FOLDER: Final = "docs/claims/"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_ROUNDING: Final = 1e-9
_ROW = TypeVar("_ROW", "Claim", "Definition")


class LedgerError(ValueError):
    """The ledger cannot be read; the message says which entry and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One measured figure.

    Attributes:
        id: Name used in the marks on pages; lower case with hyphens.
        title: What the figure is, in words.
        value: The number, in `unit`.
        unit: Unit of `value`; `1` for a share or a coefficient.
        text: How the figure is printed, such as `0.81` or `8.4 s`.
        command: What produces the artefact, from the root of the repository.
        artefact: JSON file under `docs/claims/`, relative to the root of the repository.
        sha256: Hash of the artefact.
        pointer: JSON pointer (RFC 6901) to the number in the artefact.
        commit: Commit that was measured.
        hardware: What it ran on.
        date: Day of the measurement, ISO 8601.
        subject: One of `SUBJECTS`.

    Raises:
        LedgerError: If a field is of the wrong form.
    """

    id: str
    title: str
    value: float
    unit: str
    text: str
    command: str
    artefact: str
    sha256: str
    pointer: str
    commit: str
    hardware: str
    date: str
    subject: str

    def __post_init__(self) -> None:
        words = [f.name for f in fields(self) if f.name != "value"]
        faults = [f"{n} must be text that is not empty (quote it)" for n in words if not _is_text(getattr(self, n))]
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            faults.append("value must be a number")
        faults = faults or list(self._misfits())
        if faults:
            message = f"claim {self.id!r}: {'; '.join(faults)}"
            raise LedgerError(message)

    def _misfits(self) -> Iterator[str]:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.id):
            yield "id must be lower case letters, digits, dots and hyphens"
        if not NUMBER.search(self.text):
            yield f"text {self.text!r} holds no number"
        if not (self.artefact.startswith(ARTEFACT_FOLDER) and ".." not in self.artefact):
            yield f"artefact must be a file under {ARTEFACT_FOLDER}"
        if not _SHA256.fullmatch(self.sha256):
            yield "sha256 must be 64 lower-case hexadecimal digits"
        if not _COMMIT.fullmatch(self.commit):
            yield "commit must be 7 to 40 lower-case hexadecimal digits"
        if self.subject not in SUBJECTS:
            yield f"subject must be one of {', '.join(SUBJECTS)}"
        try:
            date.fromisoformat(self.date)
        except ValueError:
            yield f"date must be YYYY-MM-DD, not {self.date!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A figure on a page that nobody measured: a target, a limit or a definition.

    Attributes:
        files: Pattern of the pages it may stand on, relative to the root of the repository.
        text: The words around the figure, exactly as in one line of the page.
        reason: Why it is no measurement.
    """

    files: str
    text: str
    reason: str

    def covers(self, page: str) -> bool:
        """Tell whether it may stand on a page.

        Args:
            page: Path relative to the root of the repository, with forward slashes.
        """
        return fnmatch(page, self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All claims by their id, and all definitions."""

    claims: Mapping[str, Claim]
    definitions: tuple[Definition, ...]


def load_ledger(path: Path) -> Ledger:
    """Return the ledger in a YAML file.

    Args:
        path: The file; holds the lists `claims` and `definitions` and nothing else.

    Raises:
        LedgerError: If it is no such file, or an entry is incomplete, garbled or there twice.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        message = f"cannot read {path.name}: {error}"
        raise LedgerError(message) from error
    if not isinstance(document, dict) or set(document) != {"claims", "definitions"}:
        message = f"{path.name} holds the two lists claims and definitions, and nothing else"
        raise LedgerError(message)
    claims: dict[str, Claim] = {}
    for row in document["claims"] or []:
        claim = _entry(Claim, row)
        if claim.id in claims:
            message = f"claim {claim.id!r} is there twice; keep one"
            raise LedgerError(message)
        claims[claim.id] = claim
    return Ledger(claims=claims, definitions=tuple(_entry(Definition, row) for row in document["definitions"] or []))


def check_artefacts(ledger: Ledger, root: Path) -> list[str]:
    """Return what is wrong with the claims' artefacts, one sentence for each fault.

    Args:
        ledger: The claims.
        root: Root of the repository.
    """
    return [f"{claim.id}: {fault}" for claim in ledger.claims.values() for fault in _artefact_faults(claim, root)]


def figure_in(document: Any, pointer: str) -> float:  # noqa: ANN401  # JSON of any kind
    """Return the number that a JSON pointer names.

    Args:
        document: Parsed JSON.
        pointer: As in RFC 6901, such as `/mean/dice/WT`.

    Raises:
        LookupError: If it leads nowhere or to something else than a number.
    """
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            document = document[int(key)] if isinstance(document, list) else document[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            message = f"pointer {pointer!r} leads nowhere: there is no {key!r}"
            raise LookupError(message) from error
    if isinstance(document, bool) or not isinstance(document, int | float):
        message = f"pointer {pointer!r} leads to {type(document).__name__}, not to a number"
        raise LookupError(message)  # noqa: TRY004  # the pointer is wrong, not an argument's type
    return float(document)


def prints_as(number: float, text: str, unit: str) -> bool:
    """Tell whether a printed figure is a number, rounded to the digits that are printed.

    Args:
        number: In `unit`.
        text: Such as `0.81` or `8.4 s`; a share (unit `1`) may be printed in per cent.
        unit: Unit of the number.
    """
    match = NUMBER.search(text)
    if match is None:
        return False
    scale = 100.0 if unit == "1" and "%" in text else 1.0
    return abs(float(match[0]) - number * scale) <= 0.5 * 10.0 ** -len(match[1] or "") + _ROUNDING


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Args:
        path: The file.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _artefact_faults(claim: Claim, root: Path) -> Iterator[str]:
    path = root / claim.artefact
    if not path.is_file():
        yield f"there is no artefact {claim.artefact}; run {claim.command!r}"
        return
    if sha256_of(path) != claim.sha256:
        yield f"{claim.artefact} is not the file that was entered; run docs/update_claims.py refresh"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        number = figure_in(document, claim.pointer)
    except (ValueError, LookupError) as error:
        yield f"{claim.artefact}: {error}"
        return
    for name, value in (("the artefact", number), ("value", claim.value)):
        if not prints_as(value, claim.text, claim.unit):
            yield f"{name} says {value:g} {claim.unit}, and the figure is printed as {claim.text!r}"
    if claim.subject == "patient" and _holds_phantom(document):
        yield f"{claim.artefact} holds phantoms, so its figures are never a patient's"


def _holds_phantom(document: object) -> bool:
    if isinstance(document, dict):
        return document.get("phantom") is True or any(map(_holds_phantom, document.values()))
    return isinstance(document, list) and any(map(_holds_phantom, document))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _entry(kind: type[_ROW], row: object) -> _ROW:
    known = [f.name for f in fields(kind) if f.default is MISSING]
    if not isinstance(row, dict) or set(row) != set(known):
        name = row.get("id", row.get("text")) if isinstance(row, dict) else row
        message = f"{kind.__name__.lower()} {name!r} must have exactly the keys {', '.join(known)}"
        raise LedgerError(message)
    return kind(**row)
