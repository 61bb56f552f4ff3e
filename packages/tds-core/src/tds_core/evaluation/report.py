"""An evaluation as a folder: a page to read, tables to compute with, pictures to show."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tds_core.errors import EvaluationError, MissingDependency
from tds_core.evaluation.catalogue import MetricInfo, describe_metric
from tds_core.evaluation.plots import FOUND, TRUTH, bland_altman_plots, box_plots
from tds_core.evaluation.summary import MetricSummary, ScoredCase, summarise
from tds_core.evaluation.tables import cases_csv, summary_csv, summary_row
from tds_core.metrics import EMPTY_DISTANCE_MM
from tds_data.report import RESEARCH_USE_NOTICE

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE_NAME: Final = "index.html"
"""What the page is called."""

SCORES_NAME: Final = "scores.json"
"""What the scores as JSON are called."""

REPORT_VERSION: Final = "2.1"
"""Version of `scores.json`; the major number changes when a reader of the old form would break."""

_BOXES: Final = ("dice", "hd95_mm", "surface_dice", "lesion_dice")
_DIGITS: Final = 6
_KINDS: Final = (("patients", False), ("phantoms", True))


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryEntry:
    """A case that people should look at.

    Attributes:
        case: Its name.
        phantom: Whether it is synthetic.
        png: The picture.
        caption: What is shown, in words; also for those who cannot see it.
    """

    case: str
    phantom: bool
    png: bytes
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of a set of cases and what is to be said about them.

    Attributes:
        title: Of the page.
        cases: At least one; all with the same regions and metrics.
        facts: What was evaluated, by name: the model and its hash, the data, versions.
        notes: Sentences that a reader must know.
        gallery: Cases to look at, worst first.
    """

    title: str
    cases: tuple[ScoredCase, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    gallery: tuple[GalleryEntry, ...] = ()

    def __post_init__(self) -> None:
        shapes = {(region, metric) for case in self.cases for region, row in case.values.items() for metric in row}
        if not self.cases or any(
            (region, metric) not in {(r, m) for r, row in case.values.items() for m in row}
            for case in self.cases
            for region, metric in shapes
        ):
            message = f"an evaluation needs cases with the same regions and metrics; {len(self.cases)} were given"
            raise EvaluationError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Patients, or phantoms."""

    name: str
    cases: tuple[ScoredCase, ...]
    summaries: Mapping[str, Mapping[str, MetricSummary]]
    pictures: tuple[tuple[str, str], ...]
    gallery: tuple[tuple[GalleryEntry, str], ...]


def worst_first(cases: Sequence[ScoredCase], metric: str = "dice") -> list[ScoredCase]:
    """Return cases by the mean of a metric over their regions, the lowest first.

    Args:
        cases: The cases.
        metric: One that is better when it is higher.
    """
    return sorted(cases, key=lambda case: (case.mean(metric), case.case))


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain JSON types, numbers rounded to six digits.

    Args:
        evaluation: The evaluation.
    """
    return {
        "schema_version": REPORT_VERSION,
        "notice": RESEARCH_USE_NOTICE,
        "title": evaluation.title,
        "facts": dict(evaluation.facts),
        "notes": list(evaluation.notes),
        "cases": [
            {
                "case": case.case,
                "phantom": case.phantom,
                "regions": {r: {m: _rounded(v) for m, v in row.items()} for r, row in case.values.items()},
            }
            for case in evaluation.cases
        ],
        "summary": [{k: _rounded(v) for k, v in summary_row(s).items()} for s in summarise(evaluation.cases)],
    }


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write `index.html`, `scores.json`, `cases.csv`, `summary.csv` and the plots as PNG.

    Args:
        evaluation: The evaluation.
        folder: There already; to be made whole by the caller, as by `tds_data.atomic.atomic_folder`.

    Raises:
        MissingDependency: If the extra `report` is not installed.
    """
    plots = _plots(evaluation)
    for name, png in plots.items():
        (folder / name).write_bytes(png)
    texts = {
        PAGE_NAME: render_page(evaluation, plots),
        SCORES_NAME: json.dumps(to_document(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "cases.csv": cases_csv(evaluation.cases),
        "summary.csv": summary_csv(summarise(evaluation.cases)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n", errors="backslashreplace")


def require_report() -> None:
    """Refuse early, before long work, what needs the extra `report`.

    Raises:
        MissingDependency: If it is not installed.
    """
    for package in ("jinja2", "matplotlib"):
        if find_spec(package) is None:
            raise MissingDependency(package, "report")


def render_page(evaluation: Evaluation, plots: Mapping[str, bytes] | None = None) -> str:
    """Return an evaluation as one HTML document that needs nothing else: no script, no font, no request.

    Args:
        evaluation: The evaluation.
        plots: PNG files by name, if they were drawn before.

    Raises:
        MissingDependency: If the extra `report` is not installed.
    """
    require_report()
    drawn = _plots(evaluation) if plots is None else plots
    environment = _environment()
    style = environment.get_template("evaluation.css.j2").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template("evaluation.html.j2").render(
        evaluation=evaluation,
        notice=RESEARCH_USE_NOTICE,
        parts=[part for name, phantom in _KINDS if (part := _part(evaluation, name, drawn, phantom=phantom)).cases],
        metrics=_metrics(evaluation),
        stand_in=f"{EMPTY_DISTANCE_MM:.2f} mm",
        style=style,
        style_hash=digest,
    )


def _metrics(evaluation: Evaluation) -> list[MetricInfo]:
    return [describe_metric(name) for name in next(iter(evaluation.cases[0].values.values()))]


def _plots(evaluation: Evaluation) -> dict[str, bytes]:
    require_report()
    names = [info.name for info in _metrics(evaluation)]
    drawn = {}
    for kind, phantom in _KINDS:
        cases = [case for case in evaluation.cases if case.phantom is phantom]
        if not cases:
            continue
        boxes = [name for name in _BOXES if name in names] or names[:4]
        drawn[f"boxes-{kind}.png"] = box_plots(cases, boxes)
        if {FOUND, TRUTH} <= set(names):
            drawn[f"bland-altman-{kind}.png"] = bland_altman_plots(cases)
    return drawn


def _part(evaluation: Evaluation, name: str, plots: Mapping[str, bytes], *, phantom: bool) -> _Part:
    cases = tuple(case for case in evaluation.cases if case.phantom is phantom)
    summaries: dict[str, dict[str, MetricSummary]] = {}
    for summary in summarise(cases) if cases else ():
        summaries.setdefault(summary.region, {})[summary.metric] = summary
    words = {
        "boxes": f"Box plots of the scores of {len(cases)} {name}, one box for each region.",
        "bland-altman": f"Bland-Altman plots of the volumes of {len(cases)} {name}: found minus marked.",
    }
    pictures = tuple(
        (_data_url(plots[f"{plot}-{name}.png"]), alt) for plot, alt in words.items() if f"{plot}-{name}.png" in plots
    )
    gallery = tuple((entry, _data_url(entry.png)) for entry in evaluation.gallery if entry.phantom is phantom)
    return _Part(name=name, cases=tuple(worst_first(cases)), summaries=summaries, pictures=pictures, gallery=gallery)


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _rounded(value: str | float | None) -> str | float | None:
    return round(value, _DIGITS) if isinstance(value, float) else value


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # an optional extra

    environment = Environment(
        loader=PackageLoader("tds_core.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    return environment


def _figure(value: float | None, info: MetricInfo) -> str:
    """Return a number as people read it: shares with three digits, counts with none, all else with one or two."""
    if value is None:
        return "\N{EN DASH}"
    if info.limits == (0.0, 1.0):
        return f"{value:.3f}"
    if info.name.startswith("lesions_"):
        return f"{value:g}" if float(value).is_integer() else f"{value:.1f}"
    return f"{value:.2f}" if info.unit == "mL" else f"{value:.1f}"
