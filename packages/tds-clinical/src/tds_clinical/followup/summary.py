"""What a comparison says, in words and numbers for people: shared by the page and the timeline."""

from typing import Final

from tds_clinical.followup.model import Assessment, ChangeKind, FollowUp, LesionChange, TimePointSummary
from tds_data.report import Interval
from tds_data.vocabulary import REGION_NAMES, REGIONS, Region

PHANTOM_MARK: Final = "PHANTOM: synthetic images, not a patient"

_KINDS: Final = {
    ChangeKind.MATCHED: "found again",
    ChangeKind.NEW: "new",
    ChangeKind.GONE: "gone",
    ChangeKind.SPLIT: "split",
    ChangeKind.MERGED: "merged",
}


def name_point(point: TimePointSummary) -> str:
    """Return a time point's name, with its date where that is not the name already.

    Args:
        point: The time point.
    """
    day = "" if point.when is None else point.when.isoformat()
    return point.label if day in ("", point.label) else f"{point.label} ({day})"


def name_kind(kind: ChangeKind) -> str:
    """Return what became of a lesion, in words.

    Args:
        kind: What became of it.
    """
    return _KINDS[kind]


def name_category(assessment: Assessment) -> str:
    """Return a category, with those that are possible where it is uncertain.

    Args:
        assessment: The assessment.
    """
    if len(assessment.possible) <= 1:
        return assessment.category
    return f"{assessment.category} ({' or '.join(assessment.possible)})"


def tell_volume(volume_ml: float, interval: Interval | None) -> str:
    """Return a volume with its interval.

    Args:
        volume_ml: Millilitres.
        interval: Its lower and upper end; `None` if there is none.
    """
    if interval is None:
        return f"{volume_ml:.2f}"
    return f"{volume_ml:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def tell_change(change: LesionChange, region: Region) -> str:
    """Return by how much a region changed.

    Args:
        change: What became of the lesion.
        region: The region.
    """
    before, after = change.volume_ml[region]
    if before == after == 0.0:
        return ""
    return "from nothing" if before == 0.0 else f"{after / before - 1:+.0%}"


def count_changes(changes: tuple[LesionChange, ...]) -> str:
    """Return how many lesions are new, gone, split or merged; nothing if none is.

    Args:
        changes: Between two neighbouring time points.
    """
    counts = {kind: sum(change.kind is kind for change in changes) for kind in ChangeKind}
    told = [f"{count} {name_kind(kind)}" for kind, count in counts.items() if count and kind is not ChangeKind.MATCHED]
    return ", ".join(told)


def describe_timeline(follow_up: FollowUp) -> str:
    """Return what the timeline shows, for those who cannot see it.

    Args:
        follow_up: The comparison.
    """
    parts = []
    for index, point in enumerate(follow_up.points):
        volumes = ", ".join(f"{REGION_NAMES[region]} {point.report.volume_ml[region]:.2f} mL" for region in REGIONS)
        fate = count_changes(follow_up.changes[index - 1]) if index else ""
        parts.append(f"{name_point(point)}: {volumes}" + (f"; lesions: {fate}" if fate else ""))
    categories = "; ".join(f"{entry.criteria}: {name_category(entry)}" for entry in follow_up.assessments)
    mark = f"{PHANTOM_MARK}. " if follow_up.is_phantom else ""
    return f"{mark}Volumes over time. {'. '.join(parts)}. Categories from images alone: {categories}."
