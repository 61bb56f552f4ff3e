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
from tds_cli.study import Study, StudyRequest, read_study
from tds_data.atomic import RESULT_MARKER
from tds_data.nifti import write_volume
from tds_data.report import LesionReport

if TYPE_CHECKING:
    from tds_core.inference import Segmentation

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
    """

    study: StudyRequest
    model: ModelRequest = field(default_factory=ModelRequest)
    max_bytes: int | None = None


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
            study = read_study(request.study)
        progress("loading the model")
        with _timed(timings, "load"):
            ready = model.result()
        found = _segment(study, ready, request, progress)
    report = found.report
    report = replace(report, quality=(*report.quality, *study.notes), timings_s={**timings, **report.timings_s})
    progress("writing the result")
    _write(folder, replace(found, report=report))
    return report


def _load(request: ModelRequest) -> LoadedModel:
    import_module("tds_core.inference")
    return load_model(request)


def _segment(study: Study, model: LoadedModel, request: SegmentRequest, progress: Progress) -> "Segmentation":
    from tds_core.inference import InferenceOptions, segment  # noqa: PLC0415  # imported by `_load`, side by side

    options = InferenceOptions(
        device=request.model.device, max_bytes=request.max_bytes, phantom=study.phantom, progress=progress
    )
    return segment(study.case, bundle=model.bundle, engine=model.engine, options=options)


def _write(folder: Path, found: "Segmentation") -> None:
    from tds_clinical.reports import write_html, write_overlay  # noqa: PLC0415  # imported while the study was read

    drawn = (found.case, found.mask, found.report)
    with ThreadPoolExecutor(2, thread_name_prefix="write") as writers:
        tasks: list[Future[None]] = [
            writers.submit(write_html, folder / HTML_NAME, *drawn),
            writers.submit(write_overlay, folder / OVERLAY_NAME, *drawn),
            writers.submit(write_volume, folder / MASK_NAME, found.mask),
        ]
        for task in tasks:
            task.result()
    (folder / RESULT_MARKER).write_text(json_text(found.report.to_dict()), encoding="utf-8")


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = round(time.perf_counter() - start, 3)
