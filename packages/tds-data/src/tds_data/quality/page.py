"""The check of a data set as one HTML page that needs nothing else: no script, no font, no request."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from tds_data.errors import MissingDependency, VolumeWriteError
from tds_data.quality.codes import CODES, Code
from tds_data.quality.dataset_report import RANK, CaseReport, DatasetReport
from tds_data.quality.pictures import Picture, require_pillow
from tds_data.report import RESEARCH_USE_NOTICE, QualityFlag, Severity
from tds_data.vocabulary import MODALITIES, REGION_NAMES, REGIONS, Modality

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE_NAME: Final = "check.html"
"""What the page is called."""
JSON_NAME: Final = "check.json"
"""What the JSON form is called."""
MAX_CARDS: Final = 300
"""No more cases than this have a card; those with the gravest findings do, the others are listed."""

_NAMES: Final = {Modality.T1: "T1", Modality.T1CE: "T1ce", Modality.T2: "T2", Modality.FLAIR: "FLAIR"}
_ORDER: Final = (Modality.T1CE, Modality.FLAIR, Modality.T2, Modality.T1)
_COLOURS: Final = {"WT": "#56b4e9", "TC": "#d55e00", "ET": "#f0e442"}  # Okabe and Ito (2008)
_TIMES: Final = " \N{MULTIPLICATION SIGN} "
_NAMED_BY_FINDING: Final = "missing: "
_WORDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A picture's place on a card.

    Attributes:
        anchor: Its identifier on the page.
        label: What is written on it.
        picture: What is shown, or `None` if there is nothing to show.
        source: The picture as a data URL.
        alt: What is shown, in words.
        reason: Why there is nothing to show.
    """

    anchor: str
    label: str
    picture: Picture | None = None
    source: str = ""
    alt: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A case on the page.

    Attributes:
        anchor: Its identifier on the page.
        case: What was found.
        kinds: What it can be filtered by.
        facts: A few words each.
        notes: What the manifest says of it, but for what a finding says as well.
        tiles: Its pictures.
    """

    anchor: str
    case: CaseReport
    kinds: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way of filtering the cards.

    Attributes:
        kind: The word in a card's kinds that it keeps; empty for all.
        label: What is written on it.
        count: How many cases it keeps.
        tone: Its colour: a severity, `clean` or empty.
    """

    kind: str
    label: str
    count: int
    tone: str = ""


def render_page(report: DatasetReport) -> str:
    """Return the check of a data set as one HTML document.

    Args:
        report: What `check_dataset` returned, with pictures or without.

    Raises:
        MissingDependency: If Jinja is not installed.
    """
    environment = _environment()
    ordered = sorted(report.cases, key=lambda case: (-_rank(case), case.name))
    cards = [_card(number, case) for number, case in enumerate(ordered[:MAX_CARDS])]
    choices = _choices(report, cards)
    style = environment.get_template("check.css.j2").render(
        colours=_COLOURS,
        kinds=[choice.kind for choice in choices if choice.kind],
        counts=sorted(set(report.by_severity.values())),
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template("check.html.j2").render(
        report=report,
        notice=RESEARCH_USE_NOTICE,
        style=style,
        style_hash=digest,
        cards=cards,
        listed=ordered[MAX_CARDS:],
        choices=choices,
        codes=[(CODES[code], count) for code, count in report.by_code.items()],
        regions=[(region, REGION_NAMES[region]) for region in REGIONS],
        has_outlines=any(picture.outlines for case in report.cases for picture in case.pictures),
        has_pictures=any(case.pictures for case in report.cases),
    )


def prepare_folder(folder: Path) -> None:
    """Make a folder for `write_check`, and refuse early, before long work, one that cannot take it.

    Args:
        folder: May be there already.

    Raises:
        VolumeWriteError: If it cannot be made or written to.
        MissingDependency: If the extra `report` is not installed.
    """
    require_pillow()
    _environment()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"{error.strerror or error}; choose an output folder that you may write to"
        raise VolumeWriteError(folder, reason) from error


def write_check(report: DatasetReport, folder: Path) -> tuple[Path, Path]:
    """Write a check as `check.html` and `check.json`, each whole or not at all, and return where they are.

    Args:
        report: What `check_dataset` returned.
        folder: Made if it is not there; earlier files of these two names are replaced, others stay.

    Raises:
        VolumeWriteError: If they cannot be written.
        MissingDependency: If Jinja is not installed.
    """
    text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    page = render_page(report)
    targets = folder / PAGE_NAME, folder / JSON_NAME
    prepare_folder(folder)
    _write_all(dict(zip(targets, (page, text), strict=True)))
    return targets


def _write_all(texts: Mapping[Path, str]) -> None:
    partials: dict[Path, Path] = {}
    try:
        for target, text in texts.items():
            partial = target.with_name(f".{target.name}.partial-{os.getpid()}-{uuid4().hex[:8]}")
            partials[target] = partial
            with partial.open("x", encoding="utf-8", newline="\n", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for target, partial in partials.items():
            partial.replace(target)
    except OSError as error:
        raise VolumeWriteError(next(iter(texts)).parent, error.strerror or str(error)) from error
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    if find_spec("jinja2") is None:
        package = "jinja2"
        raise MissingDependency(package, "report")
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # an optional extra

    environment = Environment(
        loader=PackageLoader("tds_data.quality", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["advice"] = _advice
    environment.filters["word"] = _WORDS.__getitem__
    environment.filters["said"] = _said
    environment.filters["sentence"] = _sentence
    return environment


def _said(finding: QualityFlag) -> str:
    """Return the few words about a finding that are seen without opening it."""
    subjects = [] if finding.subject is None else finding.subject.split(", ")
    names = ["mask" if subject == "mask" else _sequence_name(subject) for subject in subjects]
    about = " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
    value = "" if finding.value is None or finding.value == finding.subject else finding.value
    return ": ".join(part for part in (about, value) if part) or finding.message


def _sentence(words: str) -> str:
    """Return a message as a sentence; a sequence that it begins with gets its proper name."""
    first, space, rest = words.partition(" ")
    start = _sequence_name(first) if first in set(MODALITIES) else first[:1].upper() + first[1:]
    return f"{start}{space}{rest}."


def _advice(finding: QualityFlag) -> Code | None:
    return CODES.get(finding.code)


def _rank(case: CaseReport) -> int:
    return 0 if case.worst is None else RANK[case.worst]


def _choices(report: DatasetReport, cards: Iterable[Card]) -> list[Choice]:
    shown = list(cards)
    choices = [Choice(kind="", label="All cases", count=len(shown))]
    labels = {"error": "With errors", "warning": "With warnings", "info": "With notes", "clean": "Without findings"}
    for kind, label in labels.items():
        choices.append(Choice(kind=kind, label=label, count=_count(shown, kind), tone=kind))
    for code in report.by_code:
        tone = str(max((f.severity for f in report.findings if f.code == code), key=RANK.__getitem__))
        choices.append(Choice(kind=code, label=code, count=_count(shown, code), tone=tone))
    return [choice for choice in choices if choice.count or not choice.kind]


def _count(cards: Iterable[Card], kind: str) -> int:
    return sum(kind in card.kinds.split() for card in cards)


def _card(number: int, case: CaseReport) -> Card:
    anchor = f"case-{number}"
    severities = {str(flag.severity) for flag in case.flags} or {"clean"}
    kinds = sorted(severities) + sorted({flag.code for flag in case.flags})
    notes = tuple(note for note in case.notes if not note.startswith(_NAMED_BY_FINDING))
    return Card(
        anchor=anchor,
        case=case,
        kinds=" ".join(kinds),
        facts=tuple(_facts(case)),
        notes=notes,
        tiles=_tiles(anchor, case),
    )


def _facts(case: CaseReport) -> Iterable[str]:
    if case.shape is not None and case.spacing_mm is not None:
        yield _TIMES.join(map(str, case.shape))
        edges = [f"{edge:.3g}" for edge in case.spacing_mm]
        yield f"{edges[0] if len(set(edges)) == 1 else _TIMES.join(edges)} mm"
    if case.orientation is not None:
        yield case.orientation
    yield "no mask" if case.marked_ml is None else f"mask {case.marked_ml:.3g} mL"
    if case.phantom:
        yield "phantom, not a patient"


def _tiles(anchor: str, case: CaseReport) -> tuple[Tile, ...]:
    drawn = {picture.subject: picture for picture in case.pictures}
    brain = [modality.value for modality in _ORDER] if set(case.sequences) & set(MODALITIES) else []
    names = [*brain, *(name for name in case.sequences if name not in brain)]
    return tuple(_tile(f"{anchor}-{name}", name, drawn.get(name), case) for name in names) if drawn else ()


def _tile(anchor: str, name: str, picture: Picture | None, case: CaseReport) -> Tile:
    label = _sequence_name(name)
    if picture is None:
        return Tile(anchor=anchor, label=label, reason="cannot be shown" if name in case.sequences else "missing")
    source = "data:image/webp;base64," + base64.b64encode(picture.webp).decode("ascii")
    outlined = ", with the outlines of the mask" if picture.outlines else ""
    alt = f"{label} of {case.name}: {picture.place}{outlined}"
    return Tile(anchor=anchor, label=label, picture=picture, source=source, alt=alt)


def _sequence_name(name: str) -> str:
    return _NAMES[Modality(name)] if name in set(MODALITIES) else name.upper()
