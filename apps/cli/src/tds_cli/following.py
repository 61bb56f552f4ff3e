"""From studies and their results at several time points to a folder that says what changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tds_cli.belonging import Origin, belonging_flags, origin_of
from tds_cli.errors import UsageFault
from tds_cli.output import Progress, json_text, say, say_table
from tds_cli.results import MASK_NAME
from tds_cli.study import StudyRequest, check_request, read_raw_study
from tds_clinical.errors import ClinicalDependency, FollowUpError
from tds_data.atomic import RESULT_MARKER, atomic_folder, check_target
from tds_data.labels import translate_labels
from tds_data.nifti import read_volume
from tds_data.report import LesionReport, ReportFormatError
from tds_data.vocabulary import MODALITIES, REGION_NAMES, REGIONS, Modality
from tds_data.volume import Volume

if TYPE_CHECKING:
    from tds_clinical.followup import FollowUp, FollowUpOptions, TimePoint

JSON_NAME: Final = "followup.json"
PNG_NAME: Final = "timeline.png"
SVG_NAME: Final = "timeline.svg"
PAGE_NAME: Final = "followup.html"

_PREFERRED: Final = (Modality.T1CE, *(modality for modality in MODALITIES if modality is not Modality.T1CE))


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRequest:
    """One time point.

    Attributes:
        when: Day of the study.
        study: The folder that was segmented.
        result: The folder of its result.
    """

    when: date
    study: Path
    result: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic:
    """What images do not show; `None` where it is not known. The words are those of `tds_clinical.followup.Clinical`.

    Attributes:
        steroids: Corticosteroids.
        status: How the patient is.
        radiotherapy_ended: Last day of radiotherapy.
        is_confirmed: Whether a later scan confirmed the change.
    """

    steroids: str | None = None
    status: str | None = None
    radiotherapy_ended: date | None = None
    is_confirmed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowRequest:
    """What to compare, and how.

    Attributes:
        points: The time points, oldest first.
        trust_headers: Whether the studies already lie in one space.
        reach_mm: How far apart one lesion may lie at two time points.
        allow_different_models: Whether results of different models are compared.
        clinic: What images do not show.
    """

    points: tuple[PointRequest, ...]
    trust_headers: bool = False
    reach_mm: float = 3.0
    allow_different_models: bool = False
    clinic: Clinic = field(default_factory=Clinic)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadPoint:
    """One time point as read.

    Attributes:
        when: Day of the study.
        images: The study's sequences that lie on the mask's grid, in the order of preference.
        mask: Labels 0 to 3.
        report: What was found.
        origin: What its DICOM header says of whose it is; `None` without one.
    """

    when: date
    images: dict[Modality, Volume]
    mask: Volume
    report: LesionReport
    origin: Origin | None = None


def follow(request: FollowRequest, out: Path, *, progress: Progress) -> "FollowUp":
    """Compare time points, fill a folder with what changed, and return it.

    Args:
        request: What to compare, and how.
        out: Folder to make.
        progress: Hears of each stage.

    Raises:
        UsageFault: If a folder or a file of a result is missing.
        DataError: If a study or a result cannot be read, or the folder cannot be made.
        ClinicalError: If the time points cannot be compared.
    """
    for point in request.points:
        check_point(point)
    inputs = [path for point in request.points for path in (point.study, point.result)]
    check_target(out, protected=inputs)
    check_drawing()
    read = []
    for number, point in enumerate(request.points, start=1):
        progress(f"reading time point {number}")
        read.append(read_point(point, number))
    progress("comparing the time points")
    found = compare_points(read, request)
    progress("drawing the timeline")
    with atomic_folder(out, protected=inputs) as folder:
        _write(folder, found)
    return found


def tell(found: "FollowUp", folder: Path) -> None:
    """Print what changed.

    Args:
        found: The comparison.
        folder: The finished folder.
    """
    from tds_clinical.followup.summary import (  # noqa: PLC0415  # loaded by the comparison
        PHANTOM_MARK,
        count_changes,
        name_category,
        name_point,
        tell_volume,
    )

    if found.is_phantom:
        say(f"{PHANTOM_MARK}. No figure below says anything about real ones.")
    rows = []
    for index, point in enumerate(found.points):
        volumes = [tell_volume(point.report.volume_ml[r], point.volume_interval_ml.get(r)) for r in REGIONS]
        fate = count_changes(found.changes[index - 1]) if index else ""
        rows.append([name_point(point), *volumes, str(len(point.report.lesions)), fate or "-"])
    say_table(["time point", *(f"{REGION_NAMES[r]} (mL)" for r in REGIONS), "lesions", "what changed"], rows)
    for flag in found.quality:
        where = f" ({flag.subject})" if flag.subject else ""
        say(f"{flag.severity}: {flag.message}{where}")
    for entry in found.assessments:
        say(f"{entry.criteria}: {name_category(entry)}")
        for reason in entry.reasons:
            say(f"  {reason}")
    say(f"files in {folder}:")
    say(f"  {', '.join(sorted(path.name for path in folder.iterdir()))}")
    say(found.notice)


def check_point(point: PointRequest) -> None:
    """Refuse a time point that cannot be read whatever its files hold.

    Args:
        point: The time point.

    Raises:
        UsageFault: If a folder or a file of the result is missing.
    """
    check_request(StudyRequest(path=point.study))
    for name in (MASK_NAME, RESULT_MARKER):
        if not (point.result / name).is_file():
            message = f"{str(point.result)!r} holds no {name}; give the folder that tds segment made"
            raise UsageFault(message)


def check_drawing() -> None:
    """Refuse early what could not be drawn in the end.

    Raises:
        ClinicalDependency: If matplotlib is not installed.
    """
    from importlib.util import find_spec  # noqa: PLC0415  # no other command needs it

    if find_spec("matplotlib") is None:
        package = "matplotlib"
        raise ClinicalDependency(package, "followup")


def read_point(point: PointRequest, number: int) -> ReadPoint:
    """Return a time point.

    Args:
        point: Where it is.
        number: Which one, for messages.

    Raises:
        DataError: If the study or the result cannot be read.
        ClinicalError: If the study is DICOM that cannot be read.
        FollowUpError: If the mask lies on none of the study's sequences.
    """
    mask = translate_labels(read_volume(point.result / MASK_NAME))
    # A result of tilted slices lies on the box that they were resampled to; any other grid is refused below.
    study = read_raw_study(StudyRequest(path=point.study, resample=True))
    images = {
        modality: study.images[modality]
        for modality in _PREFERRED
        if modality in study.images and study.images[modality].same_grid(mask)
    }
    if not images:
        message = (
            f"the mask of time point {number} ({mask.shape} voxels) lies on none of its study's sequences; give the "
            "study that the result was made from"
        )
        raise FollowUpError(message)
    report = _report(point.result / RESULT_MARKER, number)
    origin = next((origin_of(files.header) for files in study.dicom.values()), None)
    return ReadPoint(when=point.when, images=images, mask=mask, report=report, origin=origin)


def _report(path: Path, number: int) -> LesionReport:
    try:
        return LesionReport.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        message = f"the {RESULT_MARKER} of time point {number} is no lesion report; segment the study again"
        raise ReportFormatError(message) from error


def compare_points(read: Sequence[ReadPoint], request: FollowRequest) -> "FollowUp":
    """Return what changed.

    Args:
        read: The time points, oldest first.
        request: How to compare; its own points are not looked at.

    Raises:
        ClinicalError: If the time points cannot be compared.
    """
    from tds_clinical.findings import mask_digest  # noqa: PLC0415  # loads pydicom, which other commands do not need
    from tds_clinical.followup import compare  # noqa: PLC0415  # as above
    from tds_clinical.uids import Uids  # noqa: PLC0415  # as above

    uids = Uids.reproducible("followup", *(f"{entry.when} {mask_digest(entry.mask)}" for entry in read))
    found = compare(_points(read), _options(request), uids=uids)
    flags = belonging_flags([(entry.when, entry.origin) for entry in read])
    return replace(found, quality=(*flags, *found.quality))


def _points(read: Sequence[ReadPoint]) -> "list[TimePoint]":
    from tds_clinical.followup import TimePoint  # noqa: PLC0415  # as above

    shared = [modality for modality in _PREFERRED if all(modality in entry.images for entry in read)]
    points = []
    for entry in read:
        # Without a sequence that all have, images of different contrasts are registered: mutual information can.
        chosen = shared[0] if shared else next(iter(entry.images))
        points.append(
            TimePoint(
                label=entry.when.isoformat(),
                when=entry.when,
                image=entry.images[chosen],
                mask=entry.mask,
                report=entry.report,
            )
        )
    return points


def _options(request: FollowRequest) -> "FollowUpOptions":
    from tds_clinical.followup import (  # noqa: PLC0415  # as above
        Alignment,
        Clinical,
        ClinicalStatus,
        FollowUpOptions,
        Steroids,
    )

    clinic = request.clinic
    return FollowUpOptions(
        alignment=Alignment.HEADERS if request.trust_headers else Alignment.REGISTER,
        reach_mm=request.reach_mm,
        allow_different_models=request.allow_different_models,
        clinical=Clinical(
            steroids=None if clinic.steroids is None else Steroids(clinic.steroids),
            status=None if clinic.status is None else ClinicalStatus(clinic.status),
            radiotherapy_ended=clinic.radiotherapy_ended,
            is_confirmed=clinic.is_confirmed,
        ),
    )


def _write(folder: Path, found: "FollowUp") -> None:
    from tds_clinical.followup.page import render_page  # noqa: PLC0415  # as above
    from tds_clinical.followup.timeline import draw_timeline, draw_timeline_svg  # noqa: PLC0415  # as above

    picture = draw_timeline(found)
    (folder / PNG_NAME).write_bytes(picture)
    (folder / SVG_NAME).write_text(draw_timeline_svg(found), encoding="utf-8")
    (folder / PAGE_NAME).write_text(render_page(found, picture), encoding="utf-8")
    (folder / JSON_NAME).write_text(json_text(found.to_dict()), encoding="utf-8")
