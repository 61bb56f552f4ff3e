"""From a study on disk to a result folder: the one way in which `segment` and `demo` make results."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tds_cli.model import LoadedModel, ModelRequest, load_model
from tds_cli.output import Progress, json_text
from tds_cli.study import RawStudy, Study, StudyRequest, read_raw_study, read_study
from tds_data.atomic import RESULT_MARKER
from tds_data.nifti import write_volume
from tds_data.report import LesionReport

if TYPE_CHECKING:
    from tds_core.inference import Segmentation
    from tds_data.raw.plan import Plan

MASK_NAME = "mask.nii.gz"
OVERLAY_NAME = "overlay.png"
HTML_NAME = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """What to segment, and how.

    Attributes:
        study: What to read.
        model: What to run.
        max_bytes: Memory limit in bytes; what is free if `None`.
        is_raw: Whether the study is to be registered and stripped first.
    """

    study: StudyRequest
    model: ModelRequest = field(default_factory=ModelRequest)
    max_bytes: int | None = None
    is_raw: bool = False


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
    # A single worker, so that nothing else is imported at the same time. What it imports is what this thread, busy
    # reading, does not: the engine first, then what draws the reports.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as loader:
        model = loader.submit(_load, request.model)
        loader.submit(import_module, "tds_clinical.reports")
        progress("reading the study")
        with _timed(timings, "read"):
            study = read_raw_study(request.study) if request.is_raw else read_study(request.study)
        progress("loading the model")
        with _timed(timings, "load"):
            ready = model.result()
        plan = None
        if isinstance(study, RawStudy):
            with _timed(timings, "prepare"):
                study, plan = _prepare(study, progress)
        found = _segment(study, ready, request, progress)
    report = found.report
    report = replace(report, quality=(*report.quality, *study.notes), timings_s={**timings, **report.timings_s})
    progress("writing the result")
    _write(folder, replace(found, report=report), plan)
    return report


def _load(request: ModelRequest) -> LoadedModel:
    import_module("tds_core.inference")
    return load_model(request)


def _prepare(raw: RawStudy, progress: Progress) -> "tuple[Study, Plan]":
    """Return a raw study registered and stripped, and the way back to its reference sequence's own grid."""
    from tds_cli.preparation import (  # noqa: PLC0415  # few studies need it
        PrepareOptions,
        carried_reference,
        preparation_flags,
        prepare_study,
    )

    prepared = prepare_study(raw, PrepareOptions(), progress=progress)
    case = replace(prepared.case, reference=carried_reference(raw, prepared))
    notes = (*raw.notes, *preparation_flags(prepared))
    return Study(case=case, notes=notes, phantom=bool(raw.prefix)), prepared.plan


def _segment(study: Study, model: LoadedModel, request: SegmentRequest, progress: Progress) -> "Segmentation":
    from tds_core.inference import InferenceOptions, segment  # noqa: PLC0415  # imported by `_load`, side by side

    options = InferenceOptions(
        device=request.model.device, max_bytes=request.max_bytes, phantom=study.phantom, progress=progress
    )
    return segment(study.case, bundle=model.bundle, engine=model.engine, options=options)


def _write(folder: Path, found: "Segmentation", plan: "Plan | None") -> None:
    from tds_clinical.reports import write_html, write_overlay  # noqa: PLC0415  # imported while the study was read

    mask = found.mask
    if plan is not None:
        from tds_data.raw.plan import to_native  # noqa: PLC0415  # few studies need it

        mask = to_native(mask, plan)
    drawn = (found.case, found.mask, found.report)
    with ThreadPoolExecutor(2, thread_name_prefix="write") as writers:
        tasks: list[Future[None]] = [
            writers.submit(write_html, folder / HTML_NAME, *drawn),
            writers.submit(write_overlay, folder / OVERLAY_NAME, *drawn),
            writers.submit(write_volume, folder / MASK_NAME, mask),
        ]
        for task in tasks:
            task.result()
    (folder / RESULT_MARKER).write_text(json_text(found.report.to_dict()), encoding="utf-8")


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = round(time.perf_counter() - start, 3)
