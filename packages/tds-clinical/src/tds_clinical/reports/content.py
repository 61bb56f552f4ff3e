"""What a report says, as texts in its language: the one source of the HTML, the PDF and the hospital's templates.

Names of these classes' attributes are the variables of `docs/reference/report-template.md`.
"""

import base64
from dataclasses import dataclass, field

from tds_clinical.reports.album import Album, Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A term and what is said of it.

    Attributes:
        term: The term.
        text: What is said of it.
    """

    term: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        caption: What it shows.
        columns: Heading of each column.
        rows: Cells of each row.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A finding of the quality gate.

    Attributes:
        severity: `error`, `warning` or `info`.
        severity_name: The same in the report's language.
        code: Its code.
        message: What was seen, in English.
        seen: The value that was seen, in brackets and in the report's language; empty if there is none.
    """

    severity: str
    severity_name: str
    code: str
    message: str
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of three planes.

    Attributes:
        alt: What it shows, in words.
    """

    alt: str
    _album: Album = field(repr=False)
    _shot: Shot = field(repr=False)

    @property
    def jpeg(self) -> bytes:
        """The picture as a JPEG file."""
        return self._album.jpeg(self._shot)

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One sequence's three planes at one place.

    Attributes:
        sequence: Name of the sequence.
        plain: The picture without labels; `None` if the lesion is not shown in full.
        contour: The picture with outlines, or `None` if there is nothing to outline.
        fill: The picture with filled labels, or `None` if there is nothing to fill.
        is_chief: Whether this is one of the sequences that one look needs.
    """

    sequence: str
    plain: Picture | None
    contour: Picture | None
    fill: Picture | None
    is_chief: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionPart:
    """What is said of one lesion.

    Attributes:
        number: Its number.
        title: Heading.
        table: A row for each region: volume and, where measured, diameters.
        has_diameters: Whether the table has them.
        facts: Where it is and how long.
        figures: One for each sequence, in reading order.
        is_in_full: Whether every sequence is shown, large.
    """

    number: int
    title: str
    table: Table
    has_diameters: bool
    facts: tuple[Fact, ...]
    figures: tuple[Figure, ...]
    is_in_full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """A category by one set of criteria.

    Attributes:
        title: The criteria and the category.
        sums: What was summed at each time point; empty if nothing was.
        reasons: Why, in English.
    """

    title: str
    sums: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed since the earlier time points.

    Attributes:
        title: Heading.
        assessed: Categories.
        flags: What weakens the comparison.
        caution: That categories come from images alone; empty without categories.
        changes: A row for each lesion, or what split or merged, since the time point before; `None` without lesions.
        note: How to read it.
        course: A row for each time point.
        timeline: Picture of the course as a data URL, or `None`.
        timeline_file: The same as a file, or `None`.
        timeline_alt: What it shows, in words.
    """

    title: str
    assessed: tuple[Assessed, ...]
    flags: tuple[Flag, ...]
    caution: str
    changes: Table | None
    note: str
    course: Table
    timeline: str | None
    timeline_file: bytes | None
    timeline_alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything a report says.

    Attributes:
        tag: BCP 47 tag of its language.
        title: Title of the document.
        case: Short label of the study.
        is_phantom: Whether the study is synthetic.
        heading: The lines of `ReportOptions.heading`.
        notices: The research-use notice in the report's language and, where that reads otherwise, in English.
        phantom_notice: That the study is synthetic; empty if it is not.
        made_at: When the report was made; empty if that is left out.
        kind: What kind of document this is.
        summary: The result in one sentence.
        flags: Findings of the quality gate, the gravest first.
        volumes: Volume of each region over the whole study, with its interval if there is one.
        interval_note: How intervals were made; empty if there are none.
        lesions_table: A row for each lesion; `None` if there is none.
        lesions: What is said of each lesion.
        middle: Pictures through the middle of the head; only if there is no lesion.
        picture_notes: How to read the pictures.
        change: What changed, or `None` if there is nothing to compare with.
        agreement: Scores against a reference mask, or `None` if there was none.
        agreement_note: What the scores mean for a phantom; empty for a patient.
        making: How the result was made.
        model_card: The model in two lines, or empty.
        english_note: Which parts are in English; empty in an English report.
    """

    tag: str
    title: str
    case: str
    is_phantom: bool
    heading: tuple[Fact, ...]
    notices: tuple[str, ...]
    phantom_notice: str
    made_at: str
    kind: str
    summary: str
    flags: tuple[Flag, ...]
    volumes: tuple[Fact, ...]
    interval_note: str
    lesions_table: Table | None
    lesions: tuple[LesionPart, ...]
    middle: tuple[Figure, ...]
    picture_notes: tuple[str, ...]
    change: Change | None
    agreement: Table | None
    agreement_note: str
    making: tuple[Fact, ...]
    model_card: tuple[str, ...]
    english_note: str
