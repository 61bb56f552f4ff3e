"""Where the packages meet: what segments the studies of the service.

Importing this module imports the runtime of the models; the rest of tds_server does not.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Final

from tds_clinical import ClinicalError, ReportError
from tds_clinical.reports import write_html, write_overlay
from tds_core.api import TumorDetector
from tds_core.errors import CoreError
from tds_core.inference import InferenceOptions, Segmentation
from tds_data.atomic import RESULT_MARKER, atomic_folder
from tds_data.errors import DataError, MissingDependency, RefusedStudy, VolumeWriteError
from tds_data.nifti import write_volume
from tds_data.report import LesionReport, Severity
from tds_serve import ProgressCallback, SegmentationFailed, StudyRefused, StudySegmenter
from tds_server.reading import StudyRead, read

_HEARTBEAT_S: Final = 1.0
_FRACTIONS: Final = {
    "read": 0.0,
    "quality": 0.1,
    "model": 0.1,
    "preprocess": 0.15,
    "infer": 0.25,
    "restore": 0.8,
    "measure": 0.85,
    "write": 0.9,
}
_OURS: Final = (VolumeWriteError, ReportError, MissingDependency)
"""Errors of the study's packages that are no fault of the study."""


def local_segmenter(*, device: str = "cpu", max_bytes: int | None = None) -> StudySegmenter:
    """Return what segments studies in this process, with the shipped model, which is loaded once and stays loaded.

    Args:
        device: `cpu`, `gpu` or `auto`.
        max_bytes: Refuse a study that needs more memory than this, bytes; the machine's free memory if `None`.

    Raises:
        ModelError: If the shipped model was altered (from tds_core).
        DeviceUnavailable: If there is no such device (from tds_core).
    """
    return _LocalSegmenter(detector=TumorDetector(device=device), max_bytes=max_bytes)


@dataclass(slots=True)
class _Stage:
    """The stage that the working thread is in."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _LocalSegmenter:
    """Segments one study at a time; further callers wait for their turn."""

    detector: TumorDetector
    max_bytes: int | None
    _turn: Lock = field(default_factory=Lock)

    def segment(self, study: Path, result: Path, *, progress: ProgressCallback) -> LesionReport:
        """Segment a study, write its result folder and return what was found; see `StudySegmenter`."""
        with self._turn, _translated(), atomic_folder(result) as folder:
            _announce(progress, "read")
            found = self._infer(read(study), progress)
            _announce(progress, "write")
            _write(folder, found)
        return found.report

    def _infer(self, study: StudyRead, progress: ProgressCallback) -> Segmentation:
        """Run the model in a thread, so that this one can tell of progress and be told to stop."""
        stage = _Stage("quality")

        def enter(name: str) -> None:
            stage.name = name

        _announce(progress, stage.name)
        options = InferenceOptions(max_bytes=self.max_bytes, phantom=study.phantom, progress=enter)
        with ThreadPoolExecutor(1, thread_name_prefix="infer") as pool:
            future: Future[Segmentation] = pool.submit(self.detector.predict_case, study.case, options=options)
            while not future.done():
                wait_for([future], timeout=_HEARTBEAT_S)
                _announce(progress, stage.name)
            found = future.result()
        report = replace(found.report, quality=(*found.report.quality, *study.notes))
        return replace(found, report=report)


def _announce(progress: ProgressCallback, stage: str) -> None:
    progress(_FRACTIONS[stage], stage)


def _write(folder: Path, found: Segmentation) -> None:
    write_volume(folder / "mask.nii.gz", found.mask)
    write_overlay(folder / "overlay.png", found.case, found.mask, found.report)
    write_html(folder / "report.html", found.case, found.mask, found.report)
    text = json.dumps(found.report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / RESULT_MARKER).write_text(text + "\n", encoding="utf-8")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the errors of the packages below into those that the service knows."""
    try:
        yield
    except RefusedStudy as error:
        code = next(flag.code for flag in error.flags if flag.severity is Severity.ERROR)
        raise StudyRefused(code, str(error)) from error
    except (*_OURS, CoreError, MemoryError) as error:
        raise SegmentationFailed(_code(error), str(error)) from error
    except (DataError, ClinicalError) as error:
        raise StudyRefused(_code(error), str(error)) from error


def _code(error: BaseException) -> str:
    """Return an error's type as the service writes codes: `GridMismatch` becomes `GRID-MISMATCH`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).upper()
