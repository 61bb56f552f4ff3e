"""A page that says what changed: one self-contained HTML file without scripts or outside requests."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from tds_clinical.followup.model import IMAGES_ALONE_NOTICE, AlignmentSummary, FollowUp, LesionChange, TimePointSummary
from tds_clinical.followup.summary import (
    PHANTOM_MARK,
    describe_timeline,
    name_category,
    name_kind,
    name_point,
    tell_change,
    tell_volume,
)
from tds_data.report import RESEARCH_USE_NOTICE
from tds_data.vocabulary import REGION_NAMES, REGIONS

_METHODS: Final = (
    (
        "A lesion is one connected part of the whole tumour; time points are compared in the space of the latest one, "
        "and volumes and diameters are measured on each study's own voxels."
    ),
    (
        "Diameters: the longest line on one slice nearest to axial, and the longest at right angles to it on the same "
        "slice, from edge to edge of the enhancing tumour."
    ),
    (
        "RANO 2.0: Wen et al. 2023, J Clin Oncol 41, 5187-5199. RECIST 1.1: Eisenhauer et al. 2009, Eur J Cancer 45, "
        "228-247."
    ),
)
_STYLE: Final = "followup.css"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """A row of the table of time points."""

    name: str
    volumes: tuple[str, ...]
    lesions: int
    alignment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row of a table of lesions."""

    before: str
    after: str
    kind: str
    volumes: tuple[str, ...]
    is_certain: bool
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What became of the lesions between two neighbouring time points."""

    before: str
    after: str
    rows: tuple[_Row, ...]


def render_page(follow_up: FollowUp, timeline: bytes) -> str:
    """Return the page as HTML.

    Args:
        follow_up: The comparison.
        timeline: Its picture, PNG.
    """
    style = (files("tds_clinical.followup") / "templates" / _STYLE).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    methods = {point.interval_method for point in follow_up.points if point.interval_method}
    return (
        _environment()
        .get_template("followup.html.j2")
        .render(
            phantom=follow_up.is_phantom,
            phantom_mark=PHANTOM_MARK,
            research_notice=RESEARCH_USE_NOTICE,
            images_alone=IMAGES_ALONE_NOTICE,
            style=style,
            style_hash=digest,
            flags=follow_up.quality,
            assessments=[
                {"criteria": entry.criteria, "category": name_category(entry), "reasons": entry.reasons}
                for entry in follow_up.assessments
            ],
            regions=[REGION_NAMES[region] for region in REGIONS],
            points=[_point(point) for point in follow_up.points],
            steps=_steps(follow_up),
            timeline=base64.b64encode(timeline).decode("ascii"),
            timeline_words=describe_timeline(follow_up),
            methods=[*_METHODS, *(f"Intervals of volumes: {method}." for method in sorted(methods))],
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("tds_clinical.followup", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _point(point: TimePointSummary) -> _Point:
    return _Point(
        name=name_point(point),
        volumes=tuple(
            tell_volume(point.report.volume_ml[region], point.volume_interval_ml.get(region)) for region in REGIONS
        ),
        lesions=len(point.report.lesions),
        alignment=_alignment(point.alignment),
    )


def _alignment(alignment: AlignmentSummary | None) -> str:
    if alignment is None:
        return ""
    if alignment.spread_mm is not None:
        return (
            f"registered: moved by {alignment.shift_mm:.1f} mm, turned by {alignment.turn_deg:.1f}\N{DEGREE SIGN}, "
            f"a second search ended {alignment.spread_mm:.1f} mm away"
        )
    return {"headers": "by its headers, which were trusted"}.get(alignment.method, "the others were brought here")


def _steps(follow_up: FollowUp) -> list[_Step]:
    return [
        _Step(before=name_point(before), after=name_point(after), rows=tuple(_row(change) for change in changes))
        for (before, after), changes in zip(pairwise(follow_up.points), follow_up.changes, strict=True)
    ]


def _row(change: LesionChange) -> _Row:
    volumes = []
    for region in REGIONS:
        before, after = change.volume_ml[region]
        told = tell_change(change, region)
        volumes.append(f"{before:.2f} \N{RIGHTWARDS ARROW} {after:.2f}" + (f" ({told})" if told else ""))
    return _Row(
        before=_numbers(change.before),
        after=_numbers(change.after),
        kind=name_kind(change.kind),
        volumes=tuple(volumes),
        is_certain=change.is_certain,
        place=", ".join(f"{value:.0f}" for value in change.place_mm),
    )


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "\N{EN DASH}"
