"""All DICOM objects of one result, written together or not at all.

What is written where
    Every object is built and cross-checked in memory first. Then each is written to a hidden folder inside the target
    and flushed to disk, and only when all of them are safe there are they moved to their names, one by one. What others
    refer to comes before what refers to it; the last of those asked for, usually `sr.dcm`, completes the set.

What an interruption leaves
    An error, a full disk or Ctrl-C at any step: the target as it was. A process that is killed, or a machine that loses
    power: before the first move, one hidden folder named `.filing-...` and no object; between the first and the last
    move, the first few objects, each whole, without the last one, and the hidden folder with the others. No file is
    ever seen with a part of its content. A target that must not show even that is filled inside
    `tds_data.atomic.atomic_folder`.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom.writing.cross_check import BuiltObject, cross_check
from tds_clinical.dicom.writing.encapsulated_pdf import build_encapsulated_pdf
from tds_clinical.dicom.writing.key_images import KeyPicture, build_key_images
from tds_clinical.dicom.writing.objects import ObjectReference, ResultKind, reference_to
from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation
from tds_clinical.dicom.writing.structure_set import build_structure_set
from tds_clinical.dicom.writing.structured_report import build_structured_report
from tds_clinical.errors import DicomWriteError
from tds_clinical.findings import ResultContext

_HIDDEN: Final = ".filing-"
_NAMES: Final = ("seg.dcm", "rtstruct.dcm", "key-image-*.dcm", "report.dcm", "sr.dcm")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilingOptions:
    """What is filed, and how.

    Attributes:
        kinds: Which objects. A structured report refers to segments, so it takes the segmentation with it.
        segmentation: How the segmentation stores its voxels.
        pdf_identifies_patient: Whether the report's pages may tell whose they are.
    """

    kinds: frozenset[ResultKind] = frozenset(ResultKind)
    segmentation: SegmentationKind = SegmentationKind.BINARY
    pdf_identifies_patient: bool = True

    def __post_init__(self) -> None:
        if ResultKind.STRUCTURED_REPORT in self.kinds and ResultKind.SEGMENTATION not in self.kinds:
            message = "a structured report refers to the segments of a segmentation; file the segmentation, too"
            raise ValueError(message)


def write_results(
    folder: Path,
    context: ResultContext,
    *,
    pdf: bytes | None,
    pictures: Sequence[KeyPicture] = (),
    options: FilingOptions | None = None,
) -> tuple[ObjectReference, ...]:
    """Write all objects of one result into a folder, together or not at all.

    If nothing was found there is no segmentation and no structure set; the structured report, the key images and the
    report say so.

    Args:
        folder: Where to write; made if absent. It may hold other files, but none of the names that are written.
        context: What the objects are about.
        pdf: The report for people; `None` if there is none.
        pictures: What the key images show, in order.
        options: What is filed, and how.

    Returns:
        Where each object can be found, in the order in which they were written.

    Raises:
        ResultsDisagree: If the objects do not agree with each other or with what they are about.
        ReportError: If `pdf` is no PDF.
        DicomWriteError: If a file is in the way or cannot be written.
    """
    _check_free(folder)  # before the work, and again when all is ready
    with quiet_pydicom():  # values that break their format are copied from the source as they are
        built = _build(context, pdf, pictures, options or FilingOptions())
        objects = [BuiltObject(kind=kind, file_name=name, data=_to_bytes(dataset)) for kind, name, dataset in built]
        cross_check(context, objects, pictures=pictures, pdf=pdf)
    _publish(folder, objects)
    logger.info("results_filed objects=%d", len(objects))
    return tuple(reference_to(dataset, kind, name) for kind, name, dataset in built)


def _build(
    context: ResultContext, pdf: bytes | None, pictures: Sequence[KeyPicture], options: FilingOptions
) -> list[tuple[ResultKind, str, Dataset]]:
    """Return what is asked for; what others refer to comes first, and the structured report last."""
    kinds = options.kinds
    found = bool(context.findings.segments)
    built: list[tuple[ResultKind, str, Dataset]] = []
    segmentation = None
    if found and ResultKind.SEGMENTATION in kinds:
        segmentation = build_segmentation(context, kind=options.segmentation)
        built.append((ResultKind.SEGMENTATION, "seg.dcm", segmentation))
    if found and ResultKind.STRUCTURE_SET in kinds:
        built.append((ResultKind.STRUCTURE_SET, "rtstruct.dcm", build_structure_set(context, segmentation)))
    if ResultKind.KEY_IMAGE in kinds:
        for number, image in enumerate(build_key_images(context, pictures), start=1):
            built.append((ResultKind.KEY_IMAGE, f"key-image-{number}.dcm", image))
    if pdf is not None and ResultKind.REPORT in kinds:
        document = build_encapsulated_pdf(context, pdf, identifies_patient=options.pdf_identifies_patient)
        built.append((ResultKind.REPORT, "report.dcm", document))
    if ResultKind.STRUCTURED_REPORT in kinds:
        built.append((ResultKind.STRUCTURED_REPORT, "sr.dcm", build_structured_report(context, segmentation)))
    return built


def _to_bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _publish(folder: Path, objects: Sequence[BuiltObject]) -> None:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_free(folder)
        hidden = Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=folder))
        try:
            _write_and_move(hidden, folder, objects)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    except BaseException as error:  # Ctrl-C, too, leaves nothing behind
        for path in made:
            with suppress(OSError):  # it is gone, or somebody else has put something in it
                path.rmdir()
        if isinstance(error, OSError) and not isinstance(error, DicomWriteError):
            raise _unwritable(folder, objects, error) from error
        raise


def _unwritable(folder: Path, objects: Sequence[BuiltObject], error: OSError) -> DicomWriteError:
    reason = f"{error.strerror or type(error).__name__}; free some space or choose a folder that you may write to"
    name = Path(error.filename or "").name  # of the folder it may tell the patient
    known = any(entry.file_name == name for entry in objects)
    return DicomWriteError(folder / (name if known else "results"), reason)


def _write_and_move(hidden: Path, folder: Path, objects: Sequence[BuiltObject]) -> None:
    safe: list[str] = []
    try:
        for entry in objects:
            _write(hidden / entry.file_name, entry.data)
            safe.append(entry.file_name)
        for name in safe:
            (hidden / name).replace(folder / name)
        _flush_folder(folder)
    except BaseException:  # Ctrl-C, too, leaves nothing behind
        for name in safe:
            if not (hidden / name).exists():  # it has been moved, so what is there is ours
                (folder / name).unlink(missing_ok=True)
        raise


def _check_free(folder: Path) -> None:
    taken = sorted(path for pattern in _NAMES for path in folder.glob(pattern))
    if taken:
        reason = "it is there already; choose a folder without DICOM results, or move them away"
        raise DicomWriteError(taken[0], reason)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some systems cannot flush a folder; its files are safe by now
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
