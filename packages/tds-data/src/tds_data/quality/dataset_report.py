"""What the check of a data set found: the value, and its JSON form (`docs/reference/check-schema.md`)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tds_data.quality.codes import CODES
from tds_data.quality.pictures import Picture
from tds_data.report import RESEARCH_USE_NOTICE, QualityFlag, Severity

CHECK_SCHEMA_VERSION: Final = "1.0"
"""Version of the JSON form; the major number changes when a reader of the old form would break."""

RANK: Final = {Severity.INFO: 1, Severity.WARNING: 2, Severity.ERROR: 3}
"""How severities compare."""
_CLEAN: Final = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """What the check of one case found.

    Attributes:
        name: The case's name in the manifest.
        patient: Shared by all cases of one person.
        sequences: The images that it has, by the manifest's names.
        phantom: Whether it is synthetic.
        shape: Voxels along each axis of the first sequence that could be read.
        spacing_mm: Edges of its voxels in millimetres.
        orientation: Where its axes lead, such as `LPS`.
        marked_ml: Millilitres that the mask marks, if there is a mask.
        notes: What the manifest says of the case.
        flags: The findings, errors first.
        fingerprints: What tells each usable image apart from those of other cases.
        pictures: A slice of each image that could be read, if pictures were asked for.
    """

    name: str
    patient: str
    sequences: tuple[str, ...]
    phantom: bool = False
    shape: tuple[int, int, int] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    orientation: str | None = None
    marked_ml: float | None = None
    notes: tuple[str, ...] = ()
    flags: tuple[QualityFlag, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The gravest severity among the findings, or `None` if there is none."""
        return max((flag.severity for flag in self.flags), key=RANK.__getitem__, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReport:
    """What the check of a data set found.

    Attributes:
        name: Name of the data set's folder.
        layout: How its files are named.
        scheme: Name of the label scheme.
        digest: SHA-256 of the manifest's content.
        licence: What the data set says about its licence.
        flags: Findings about the data set as a whole.
        cases: One report for each case, in the manifest's order.
    """

    name: str
    layout: str
    scheme: str
    digest: str
    licence: str | None = None
    flags: tuple[QualityFlag, ...] = ()
    cases: tuple[CaseReport, ...] = ()

    @property
    def findings(self) -> tuple[QualityFlag, ...]:
        """Every finding, those about the whole data set first."""
        return (*self.flags, *(flag for case in self.cases for flag in case.flags))

    @property
    def by_code(self) -> dict[str, int]:
        """How many cases have each finding, in the order of the registry; the data set itself counts as one."""
        owners = [{flag.code for flag in flags} for flags in (self.flags, *(case.flags for case in self.cases))]
        counts = Counter(code for codes in owners for code in codes)
        return {code: counts[code] for code in CODES if code in counts}

    @property
    def by_severity(self) -> dict[str, int]:
        """How many cases have errors, warnings but no errors, only notes, and nothing at all."""
        counts = Counter(_CLEAN if case.worst is None else case.worst.value for case in self.cases)
        return {name: counts[name] for name in (*(str(s) for s in reversed(Severity)), _CLEAN)}

    def reaches(self, severity: Severity) -> bool:
        """Tell whether any finding weighs at least so much.

        Args:
            severity: The weight that counts.
        """
        return any(RANK[flag.severity] >= RANK[severity] for flag in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types, without pictures."""
        return {
            "schema_version": CHECK_SCHEMA_VERSION,
            "notice": RESEARCH_USE_NOTICE,
            "dataset": {
                "name": self.name,
                "layout": self.layout,
                "scheme": self.scheme,
                "licence": self.licence,
                "digest": self.digest,
            },
            "counts": {"cases": len(self.cases), "by_severity": self.by_severity, "by_code": self.by_code},
            "codes": {code: _code(code) for code in self.by_code},
            "findings": [_finding(flag) for flag in self.flags],
            "cases": [_case(case) for case in self.cases],
        }


def _code(name: str) -> dict[str, str]:
    code = CODES[name]
    return {"area": str(code.area), "severity": str(code.severity), "meaning": code.meaning, "advice": code.advice}


def _finding(flag: QualityFlag) -> dict[str, str | None]:
    return {
        "code": flag.code,
        "severity": str(flag.severity),
        "subject": flag.subject,
        "value": flag.value,
        "message": flag.message,
    }


def _case(case: CaseReport) -> dict[str, Any]:
    return {
        "name": case.name,
        "patient": case.patient,
        "phantom": case.phantom,
        "sequences": list(case.sequences),
        "shape": None if case.shape is None else list(case.shape),
        "spacing_mm": None if case.spacing_mm is None else [round(edge, 6) for edge in case.spacing_mm],
        "orientation": case.orientation,
        "marked_ml": None if case.marked_ml is None else round(case.marked_ml, 3),
        "notes": list(case.notes),
        "findings": [_finding(flag) for flag in case.flags],
    }
