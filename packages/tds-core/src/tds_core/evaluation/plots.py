"""Scores as pictures: box plots, and Bland-Altman plots of volumes. Need the extra `report`."""

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import numpy as np

from tds_core.errors import MissingDependency
from tds_core.evaluation.catalogue import describe_metric
from tds_core.evaluation.summary import ScoredCase
from tds_data.report import RESEARCH_USE_NOTICE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOUND: Final = "volume_ml_found"
TRUTH: Final = "volume_ml_truth"

_COLOURS: Final = ("#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#0072b2")  # Okabe and Ito (2008)
_AGREEMENT: Final = 1.96
_FEWEST: Final = 3
_PANEL_IN: Final = 3.4
_HEIGHT_IN: Final = 3.6
_DPI: Final = 120


def box_plots(cases: Sequence[ScoredCase], metrics: Sequence[str]) -> bytes:
    """Return one box plot for each metric, a box for each region and a point for each case, as PNG.

    Boxes reach from the first to the third quartile with a line at the median, whiskers to the furthest case within 1.5
    times that range. With fewer than three cases there are only points.

    Args:
        cases: At least one, all patients or all phantoms.
        metrics: Which, in this order.

    Raises:
        MissingDependency: If matplotlib is not installed.
    """
    figure, axes = _panels(len(metrics), cases)
    regions = list(cases[0].values)
    for axis, metric in zip(axes, metrics, strict=True):
        groups = [[v for case in cases if (v := case.values[region][metric]) is not None] for region in regions]
        _boxes(axis, groups)
        info = describe_metric(metric)
        axis.set_title(info.label, fontsize=10)
        axis.set_xticks(range(len(regions)), regions)
        axis.set_ylim(*_padded(info.limits))
        axis.grid(axis="y", alpha=0.3)
    return _png(figure)


def bland_altman_plots(cases: Sequence[ScoredCase]) -> bytes:
    """Return a Bland-Altman plot of each region's volume, as PNG.

    The difference between the volume found and the volume marked over their mean; lines at the mean difference and at
    1.96 standard deviations from it (Bland and Altman 1986, doi 10.1016/S0140-6736(86)90837-8), the latter from three
    cases on.

    Args:
        cases: At least one, all patients or all phantoms, with both volumes in millilitres.

    Raises:
        MissingDependency: If matplotlib is not installed.
    """
    regions = list(cases[0].values)
    figure, axes = _panels(len(regions), cases)
    for number, (axis, region) in enumerate(zip(axes, regions, strict=True)):
        pairs = np.array([[case.values[region][FOUND] or 0.0, case.values[region][TRUTH] or 0.0] for case in cases])
        means, differences = pairs.mean(axis=1), pairs[:, 0] - pairs[:, 1]
        axis.scatter(means, differences, s=22, color=_COLOURS[number % len(_COLOURS)], edgecolor="black", linewidth=0.5)
        bias = float(differences.mean())
        axis.axhline(bias, color="black", linewidth=1.2, label=f"mean {bias:+.2f}")
        if len(cases) >= _FEWEST:
            reach = _AGREEMENT * float(differences.std(ddof=1))
            axis.axhline(
                bias + reach, color="black", linewidth=1, linestyle="--", label=f"+1.96 SD {bias + reach:+.2f}"
            )
            axis.axhline(bias - reach, color="black", linewidth=1, linestyle=":", label=f"-1.96 SD {bias - reach:+.2f}")
        axis.set_title(region, fontsize=10)
        axis.set_xlabel("mean of found and marked (mL)", fontsize=8)
        if number == 0:
            axis.set_ylabel("found minus marked (mL)", fontsize=8)
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    return _png(figure)


def _panels(count: int, cases: Sequence[ScoredCase]) -> "tuple[Figure, list[Axes]]":
    if find_spec("matplotlib") is None:
        package = "matplotlib"
        raise MissingDependency(package, "report")
    from matplotlib.figure import Figure  # noqa: PLC0415  # an optional extra; pyplot and its windows are not needed

    figure = Figure(figsize=(max(_PANEL_IN * count, 2 * _PANEL_IN), _HEIGHT_IN), dpi=_DPI, layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, count)))
    kind = "PHANTOMS, not patients" if cases[0].phantom else "Patients"
    figure.suptitle(f"{kind} (n = {len(cases)})", fontsize=11)
    figure.supxlabel(RESEARCH_USE_NOTICE, fontsize=7, color="0.35")
    return figure, axes


def _boxes(axis: "Axes", groups: Sequence[Sequence[float]]) -> None:
    # Points side by side instead of at random: the same scores give the same picture.
    for place, values in enumerate(groups):
        colour = _COLOURS[place % len(_COLOURS)]
        if len(values) >= _FEWEST:
            axis.boxplot(
                [list(values)],
                positions=[place],
                widths=0.55,
                showfliers=False,
                patch_artist=True,
                boxprops={"facecolor": colour, "alpha": 0.45},
                medianprops={"color": "black", "linewidth": 1.5},
            )
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(len(values))
        axis.scatter(place + spread, sorted(values), s=14, color=colour, edgecolor="black", linewidth=0.4, zorder=3)


def _padded(limits: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    low, high = limits
    return (None if low is None else low - 0.02, None if high is None else high + 0.02)


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
