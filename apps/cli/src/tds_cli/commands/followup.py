"""`tds followup`: what changed between time points of one patient."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose, parse_day

_PARTS: Final = 3


class SteroidsNow(StrEnum):
    """Corticosteroids now, against the first time point."""

    NONE = "none"
    LOWER = "lower"
    SAME = "same"
    HIGHER = "higher"


class StatusNow(StrEnum):
    """How the patient is now, against the first time point."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"


Points = Annotated[
    list[str],
    typer.Argument(
        metavar="DATE STUDY RESULT",
        help="For each time point, oldest first: the study's day (YYYY-MM-DD), its folder, and its result's folder.",
    ),
]
At = Annotated[
    int, typer.Option("--at", count=True, show_default=False, help="Put before each DATE STUDY RESULT; twice or more.")
]
Out = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder to make for the comparison.")]
TrustHeaders = Annotated[
    bool, typer.Option("--trust-headers", help="Do not register: the studies already lie in one space.")
]
Reach = Annotated[
    float, typer.Option("--reach", min=0.0, metavar="MM", help="How far apart one lesion may lie at two time points.")
]
DifferentModels = Annotated[
    bool, typer.Option("--allow-different-models", help="Compare results of different models, with a warning.")
]
Steroids = Annotated[SteroidsNow | None, typer.Option("--steroids", help="Corticosteroids now, against the first.")]
Status = Annotated[StatusNow | None, typer.Option("--status", help="How the patient is now, against the first.")]
Radiotherapy = Annotated[
    str | None, typer.Option("--radiotherapy-ended", metavar="DATE", help="Last day of radiotherapy.")
]
Confirmed = Annotated[
    bool | None,
    typer.Option("--confirmed/--not-confirmed", help="Whether a scan four weeks later confirmed the change."),
]


def followup(  # noqa: PLR0913  # a command's parameters are its options
    points: Points,
    *,
    out: Out,
    at: At = 0,
    trust_headers: TrustHeaders = False,
    reach: Reach = 3.0,
    allow_different_models: DifferentModels = False,
    steroids: Steroids = None,
    status: Status = None,
    radiotherapy_ended: Radiotherapy = None,
    confirmed: Confirmed = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Compare results of one patient over time: tds followup --at DATE STUDY RESULT --at DATE STUDY RESULT -o OUT.

    STUDY is the folder that was segmented, RESULT what tds segment made of it. Lesions are matched, and the latest time
    point is judged by RANO 2.0 and RECIST 1.1. Categories are computed from images alone. Research use only.
    """
    logs.set_verbosity(verbose=verbose)
    triples = parse_points(points, at)
    ended = None if radiotherapy_ended is None else parse_day(radiotherapy_ended, "--radiotherapy-ended")
    from tds_cli.following import Clinic, FollowRequest, PointRequest, follow, tell  # noqa: PLC0415  # keeps help quick

    request = FollowRequest(
        points=tuple(PointRequest(when=day, study=study, result=result) for day, study, result in triples),
        trust_headers=trust_headers,
        reach_mm=reach,
        allow_different_models=allow_different_models,
        clinic=Clinic(
            steroids=None if steroids is None else steroids.value,
            status=None if status is None else status.value,
            radiotherapy_ended=ended,
            is_confirmed=confirmed,
        ),
    )
    with output.progress_on_stderr() as progress:
        found = follow(request, out, progress=progress)
    if as_json:
        output.say_json({"output": str(out), "follow_up": found.to_dict()})
    else:
        tell(found, out)


def parse_points(values: list[str], marks: int) -> list[tuple[date, Path, Path]]:
    """Return the time points of a command line.

    Args:
        values: Date, study and result of each, one after the other.
        marks: How often `--at` stands on the command line.

    Raises:
        UsageFault: If a value is missing or a date is none.
    """
    if len(values) % _PARTS or marks * _PARTS != len(values):
        message = (
            f"each time point is --at DATE STUDY RESULT; {marks} times --at and {len(values)} values were given, and "
            f"{_PARTS} values belong to each"
        )
        raise UsageFault(message)
    triples = zip(values[0::_PARTS], values[1::_PARTS], values[2::_PARTS], strict=True)
    return [(parse_day(day, "--at"), Path(study), Path(result)) for day, study, result in triples]
