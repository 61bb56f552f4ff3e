"""A picture of the course: volumes with their intervals over time, what became of lesions, and the categories."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from tds_clinical.errors import ClinicalDependency
from tds_clinical.followup.model import FollowUp
from tds_clinical.followup.summary import PHANTOM_MARK, count_changes, describe_timeline, name_category
from tds_data.report import RESEARCH_USE_NOTICE
from tds_data.vocabulary import REGION_NAMES, Region

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE_INCHES: Final = (10.0, 6.2)
_DPI: Final = 150
_LINES: Final = {
    # Colours of Okabe and Ito that differ in lightness as well; markers differ for those who do not see them.
    Region.WT: ("#0072b2", "o", "-"),
    Region.TC: ("#d55e00", "s", "--"),
    Region.ET: ("#007a5a", "^", ":"),
}
_BAND: Final = 0.18
_MARGIN: Final = 0.14
_HEADROOM: Final = 1.3
_MANY: Final = 6


def draw_timeline(follow_up: FollowUp) -> bytes:
    """Return the course as a PNG picture; equal comparisons give equal bytes.

    Args:
        follow_up: The comparison.

    Raises:
        ClinicalDependency: If matplotlib is not installed.
    """
    buffer = BytesIO()
    _figure(follow_up).savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def draw_timeline_svg(follow_up: FollowUp) -> str:
    """Return the course as an SVG picture that says in words what it shows.

    Args:
        follow_up: The comparison.

    Raises:
        ClinicalDependency: If matplotlib is not installed.
    """
    figure = _figure(follow_up)
    from matplotlib import rc_context  # noqa: PLC0415  # an optional extra

    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "tds"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode("utf-8")
    words = f"<title>Volumes over time</title><desc>{escape(describe_timeline(follow_up))}</desc>"
    return re.sub(r"(<svg\b[^>]*)>", lambda tag: f'{tag[1]} role="img">\n {words}', text, count=1)


def _figure(follow_up: FollowUp) -> "Figure":
    if find_spec("matplotlib") is None:
        package = "matplotlib"
        raise ClinicalDependency(package, "followup")
    from matplotlib.figure import Figure  # noqa: PLC0415  # an optional extra; pyplot and its windows are not needed

    figure = Figure(figsize=_SIZE_INCHES)
    axes = figure.add_axes((0.08, 0.32, 0.89, 0.58))
    places = _places(follow_up)
    _draw_volumes(axes, follow_up, places)
    _draw_changes(axes, follow_up, places)
    _label(axes, follow_up, places)
    _write_words(figure, follow_up)
    return figure


def _places(follow_up: FollowUp) -> list[float]:
    """Return where each time point stands: by its day if all have one, else evenly."""
    days = [point.when for point in follow_up.points]
    known = [day for day in days if day is not None]
    if len(known) < len(days):
        return [float(index) for index in range(len(days))]
    return [float((day - known[0]).days) for day in known]


def _draw_volumes(axes: "Axes", follow_up: FollowUp, places: Sequence[float]) -> None:
    for region, (colour, marker, style) in _LINES.items():
        volumes = [point.report.volume_ml[region] for point in follow_up.points]
        ends = [
            point.volume_interval_ml.get(region, (volume, volume))
            for point, volume in zip(follow_up.points, volumes, strict=True)
        ]
        axes.fill_between(
            places, [low for low, _ in ends], [high for _, high in ends], color=colour, alpha=_BAND, linewidth=0
        )
        axes.plot(places, volumes, color=colour, marker=marker, linestyle=style, label=REGION_NAMES[region])
    top = max(axes.get_ylim()[1], 1e-3)
    axes.set_ylim(0.0, top * _HEADROOM)
    width = (places[-1] - places[0]) * _MARGIN
    axes.set_xlim(places[0] - width, places[-1] + width)


def _draw_changes(axes: "Axes", follow_up: FollowUp, places: Sequence[float]) -> None:
    for place, changes in zip(places[1:], follow_up.changes, strict=True):
        told = count_changes(changes)
        if told:
            axes.axvline(place, color="#555555", linewidth=0.8, linestyle=(0, (1, 3)), zorder=0)
            axes.text(
                place,
                0.985,
                "lesions:\n" + told.replace(", ", "\n"),
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "#555555", "boxstyle": "round,pad=0.3", "linewidth": 0.6},
            )


def _label(axes: "Axes", follow_up: FollowUp, places: Sequence[float]) -> None:
    names = []
    for point in follow_up.points:
        day = "" if point.when is None else point.when.isoformat()
        names.append(_literal(point.label if day in ("", point.label) else f"{point.label}\n{day}"))
    if len(places) > _MANY:
        axes.set_xticks(places, names, rotation=30, ha="right", fontsize=8)
    else:
        axes.set_xticks(places, names)
    axes.set_ylabel("volume (mL)")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(_LINES), frameon=False, fontsize=10)


def _write_words(figure: "Figure", follow_up: FollowUp) -> None:
    categories = "\n".join(f"{entry.criteria}: {name_category(entry)}" for entry in follow_up.assessments)
    methods = "; ".join(sorted({point.interval_method for point in follow_up.points if point.interval_method}))
    figure.text(0.08, 0.118, _literal(categories), fontsize=10, fontweight="bold", ha="left")
    figure.text(0.08, 0.09, "Categories are computed from images alone.", fontsize=9, ha="left")
    if methods:
        figure.text(0.08, 0.06, _literal(f"Bands: {methods}."), fontsize=9, ha="left")
    figure.text(0.08, 0.022, RESEARCH_USE_NOTICE, fontsize=9.5, fontweight="bold", ha="left")
    if follow_up.is_phantom:
        figure.text(
            0.97,
            0.955,
            PHANTOM_MARK,
            fontsize=10,
            fontweight="bold",
            ha="right",
            color="white",
            bbox={"facecolor": "#b0187a", "edgecolor": "none", "boxstyle": "square,pad=0.4"},
        )


def _literal(text: str) -> str:
    """Return a text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")
