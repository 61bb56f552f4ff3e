"""From a study on disk to a result folder: the one way in which `segment` and `demo` make results."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tds_cli.errors import UsageFault
from tds_cli.model import LoadedModel, ModelRequest, load_model
from tds_cli.output import Progress
from tds_cli.prior import Change, change_since, day_of_study
from tds_cli.ready import make_ready
from tds_cli.results import ResultOptions, write_result
from tds_cli.study import RawStudy, Study, StudyRequest, check_request, holds_images, read_raw_study, read_study
from tds_data.atomic import atomic_folder, check_target
from tds_data.report import LesionReport, Severity
from tds_data.vocabulary import Modality

if TYPE_CHECKING:
    from tds_cli.following import PointRequest
    from tds_core.inference import Segmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """What to segment, and how.

    Attributes:
        study: What to read.
        model: What to run.
        max_bytes: Memory limit in bytes; what is free if `None`.
        space: The sequence on whose own grid the result of a raw or DICOM study lies; the first of T1ce, T1, T2, FLAIR
            that it has if `None`.
        prepare: Whether to register the sequences and strip the skull first; if `None`, DICOM is prepared where its
            sequences do not share one grid or show a skull, and image files are not.
        prior: An earlier time point, to say what changed.
        when: Day of the study, for that; DICOM says it itself.
        result: What is written, and how.
    """

    study: StudyRequest
    model: ModelRequest = field(default_factory=ModelRequest)
    max_bytes: int | None = None
    space: Modality | None = None
    prepare: bool | None = None
    prior: "PointRequest | None" = None
    when: date | None = None
    result: ResultOptions = field(default_factory=ResultOptions)

    @property
    def inputs(self) -> list[Path]:
        """The files and folders that are read, which no result may replace."""
        prior = () if self.prior is None else (self.prior.study, self.prior.result)
        files = (self.study.reference, self.model.folder, *self.result.files, *prior)
        return [path for path in (self.study.path, *files) if path is not None]


def segment_to(out: Path, request: SegmentRequest, *, overwrite: bool, progress: Progress) -> LesionReport:
    """Make a result folder, complete or not at all, and return what was found.

    Args:
        out: Folder to make.
        request: What to segment, and how.
        overwrite: Whether an earlier result in its place is replaced.
        progress: Hears of each stage.

    Raises:
        UsageFault: If the input does not exist or an option does not fit it.
        DataError: As `segment_into`, and if the folder cannot be made.
        ClinicalError: As `segment_into`.
        ModelError: As `segment_into`.
        OutOfMemory: As `segment_into`.
    """
    check_request(request.study)
    inputs = request.inputs
    missing = next((path for path in request.result.files if not path.exists()), None)
    if missing is not None:
        message = f"there is no file or folder {str(missing)!r}; check the path"
        raise UsageFault(message)
    check_target(out, overwrite=overwrite, protected=inputs)
    with atomic_folder(out, overwrite=overwrite, protected=inputs) as folder:
        return segment_into(folder, request, progress=progress)


def segment_into(folder: Path, request: SegmentRequest, *, progress: Progress) -> LesionReport:
    """Fill a folder with mask, result, picture and report of a study, and return what was found.

    Args:
        folder: An existing folder.
        request: What to segment, and how.
        progress: Hears of each stage.

    Raises:
        DataError: If the study cannot be read or is refused, or the result cannot be written.
        ClinicalError: If the study is DICOM that cannot be read.
        ModelError: If the model is refused.
        OutOfMemory: If the study would not fit into memory.
    """
    timings: dict[str, float] = {}
    is_raw = bool(request.prepare) or not holds_images(request.study.path)
    # A single worker, so that nothing else is imported at the same time. What it imports is what this thread, busy
    # reading, does not: the engine first, then what draws the reports.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as loader:
        model = loader.submit(_load, request.model)
        loader.submit(import_module, "tds_clinical.reports")
        progress("reading the study")
        with _timed(timings, "read"):
            study = read_raw_study(request.study) if is_raw else read_study(request.study)
        progress("loading the model")
        with _timed(timings, "load"):
            ready = model.result()
        back, source, images = None, None, {}
        if isinstance(study, RawStudy):
            raw = study
            images = dict(raw.images)
            with _timed(timings, "prepare"):
                study, back = make_ready(raw, prepare=request.prepare, space=request.space, progress=progress)
            source = raw.source(back.modality)
        # Asked before the model runs, so that nobody waits for a refusal.
        when = None if request.prior is None else day_of_study(request.prior, request.when, source)
        found = _segment(study, ready, request, progress)
    if back is not None:
        found = back.carry_result(found)
    report = found.report
    report = replace(report, quality=(*report.quality, *study.notes), timings_s={**timings, **report.timings_s})
    found = replace(found, report=report)
    change = None
    if request.prior is not None and when is not None:
        progress("comparing with the prior")
        change = change_since(request.prior, found, images, source, when=when)
        found = _with_doubts(found, change)
    progress("writing the result")
    write_result(folder, found, ready.bundle, source=source, change=change, options=request.result)
    return found.report


def _with_doubts(found: "Segmentation", change: Change) -> "Segmentation":
    """Return a segmentation whose own flags tell what speaks against the comparison, not a later page alone."""
    doubts = tuple(flag for flag in change.follow_up.quality if flag.severity is not Severity.INFO)
    return replace(found, report=replace(found.report, quality=(*found.report.quality, *doubts)))


def _load(request: ModelRequest) -> LoadedModel:
    import_module("tds_core.inference")
    return load_model(request)


def _segment(study: Study, model: LoadedModel, request: SegmentRequest, progress: Progress) -> "Segmentation":
    from tds_core.inference import InferenceOptions, segment  # noqa: PLC0415  # imported by `_load`, side by side

    options = InferenceOptions(
        device=request.model.device, max_bytes=request.max_bytes, phantom=study.phantom, progress=progress
    )
    return segment(study.case, bundle=model.bundle, engine=model.engine, options=options)


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = round(time.perf_counter() - start, 3)
