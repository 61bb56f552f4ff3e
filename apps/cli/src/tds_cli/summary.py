"""What a result says, in a few lines for people."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tds_cli.output import say, say_json
from tds_data.report import Lesion, LesionReport, Severity
from tds_data.vocabulary import REGION_NAMES, REGIONS, Region

_SHOWN_LESIONS = 10


def tell_result(report: LesionReport, folder: Path, *, total_s: float, as_json: bool) -> None:
    """Print a result, as one JSON object or for people.

    Args:
        report: What was found.
        folder: The finished result folder.
        total_s: Seconds since the command began.
        as_json: Whether it is told as JSON.
    """
    if as_json:
        say_json({"output": str(folder), "total_s": round(total_s, 3), "result": report.to_dict()})
    else:
        summarise(report, folder, total_s=total_s)


def summarise(report: LesionReport, folder: Path, *, total_s: float) -> None:
    """Print what was found, what speaks against trusting it, and where the files are.

    Args:
        report: What was found.
        folder: The finished result folder.
        total_s: Seconds since the command began.
    """
    for line in summary_lines(report, folder, total_s=total_s):
        say(line)


def summary_lines(report: LesionReport, folder: Path, *, total_s: float) -> Iterator[str]:
    """Yield the lines of the summary.

    Args:
        report: What was found.
        folder: The finished result folder.
        total_s: Seconds since the command began.
    """
    if report.phantom:
        yield "PHANTOM: a made-up patient. No figure below says anything about real ones."
    yield f"{report.case}: {_count(len(report.lesions))} found in {', '.join(report.modalities)}"
    yield from (f"  {REGION_NAMES[r]} ({r}): {report.volume_ml[r]:.1f} mL" for r in REGIONS)
    yield from (_lesion_line(lesion) for lesion in report.lesions[:_SHOWN_LESIONS])
    if len(report.lesions) > _SHOWN_LESIONS:
        yield f"  and {len(report.lesions) - _SHOWN_LESIONS} smaller ones, see result.json"
    if report.dice is not None:
        against = "the PHANTOM's own truth" if report.phantom else "the reference mask"
        yield f"  Dice against {against}: {dice_text(report.dice)}"
    for flag in report.quality:
        word = "note" if flag.severity is Severity.INFO else str(flag.severity)
        yield f"  {word}: {flag.message}" + (f" (seen: {flag.value})" if flag.value else "")
    yield f"files in {folder}:"
    yield f"  {', '.join(sorted(p.name for p in folder.iterdir()))}"
    yield f"done in {total_s:.1f} s with {report.model.name} {report.model.version}"
    yield report.notice


def dice_text(dice: Mapping[Region, float]) -> str:
    """Return the Dice of each region in one line.

    Args:
        dice: In [0, 1].
    """
    return ", ".join(f"{r} {dice[r]:.3f}" for r in REGIONS)


def _lesion_line(lesion: Lesion) -> str:
    x, y, z = (round(value) for value in lesion.centroid_mm)
    return (
        f"  lesion {lesion.number}: {lesion.volume_ml[Region.WT]:.1f} mL, longest diameter "
        f"{lesion.longest_diameter_mm:.0f} mm, centre at RAS ({x}, {y}, {z}) mm"
    )


def _count(lesions: int) -> str:
    return {0: "no lesion", 1: "one lesion"}.get(lesions, f"{lesions} lesions")
