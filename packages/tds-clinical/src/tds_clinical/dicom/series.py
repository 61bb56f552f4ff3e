"""Finding the MR series in a folder."""

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from tds_clinical.dicom._tags import HEADER_TAGS, number, text
from tds_clinical.errors import DicomReadError, FolderNotReadable, MixedPatients, NoImages

_LOG = logging.getLogger(__name__)

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_PIXEL_DATA_TAGS: Final = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_ENHANCED: Final = frozenset({EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage})
_READABLE: Final = _ENHANCED | {MRImageStorage}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceFile:
    """One image file.

    Attributes:
        path: Where it is.
        header: The part of its header that grouping, identification and geometry need; no pixels.
    """

    path: Path
    header: FileDataset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFiles:
    """All image files of one series, in no particular order.

    Attributes:
        uid: Series Instance UID.
        number: Series Number, if there is one.
        slices: The files; never empty.
    """

    uid: str
    number: int | None
    slices: tuple[SliceFile, ...]

    @property
    def header(self) -> FileDataset:
        """Header of one of the files, for what all of them share."""
        return self.slices[0].header

    @property
    def label(self) -> str:
        """The series in words for messages, without identifiers."""
        return "a series without a number" if self.number is None else f"series {self.number}"

    @property
    def is_multi_frame(self) -> bool:
        """Whether a file may hold more than one frame."""
        frames = number(self.header, "NumberOfFrames") or 1
        return text(self.header, "SOPClassUID") in _ENHANCED or frames > 1

    @property
    def is_mosaic(self) -> bool:
        """Whether a file holds several slices tiled into one image."""
        return "MOSAIC" in text(self.header, "ImageType").upper()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FolderScan:
    """What a folder holds.

    Attributes:
        series: The MR series by rising number; never empty.
        ignored: Number of files that are no MR images: text, other kinds of DICOM objects and so on.
    """

    series: tuple[SeriesFiles, ...]
    ignored: int


def read_series_headers(folder: Path) -> tuple[SeriesFiles, ...]:
    """Return the MR series in a folder and all its subfolders, by rising series number.

    Args:
        folder: Any mixture of files; what is no MR image is ignored and counted in the log.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If the images belong to more than one patient or study.
        DicomReadError: If an MR image is damaged or a file may not be read.
        FolderNotReadable: If a folder is missing or may not be listed.
    """
    return scan_folder(folder).series


def scan_folder(folder: Path) -> FolderScan:
    """Return the MR series in a folder and all its subfolders, and how many files were ignored.

    Args:
        folder: Any mixture of files. Links to folders are followed, each folder once.

    Raises:
        NoImages: If there is no MR image.
        MixedPatients: If the images belong to more than one patient or study.
        DicomReadError: If an MR image is damaged or a file may not be read.
        FolderNotReadable: If a folder is missing or may not be listed.
    """
    groups: dict[str, list[SliceFile]] = defaultdict(list)
    ignored = 0
    with warnings.catch_warnings():
        # Scanners often break a value's format in harmless ways; what matters here is checked value by value.
        warnings.filterwarnings("ignore", module="pydicom")
        for path in walk_files(folder):
            header = _read_header(path)
            if header is None:
                ignored += 1
                continue
            groups[text(header, "SeriesInstanceUID")].append(SliceFile(path=path, header=header))
    if not groups:
        raise NoImages(ignored)
    _refuse_mixture(header for slices in groups.values() for header in (s.header for s in slices))
    if ignored:
        _LOG.info("files_ignored count=%d", ignored)
    series = sorted(map(_series, groups.values()), key=lambda s: (s.number is None, s.number or 0, s.uid))
    return FolderScan(series=tuple(series), ignored=ignored)


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files under a folder in sorted order, entering each folder once, links included.

    Args:
        folder: Where to start; a plain file is yielded itself.

    Raises:
        FolderNotReadable: If a folder is missing or may not be listed.
    """
    if folder.is_file():
        yield folder
        return
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            stat = current.stat()
            entries = sorted(current.iterdir())
        except OSError as error:
            raise FolderNotReadable(current, error.strerror or type(error).__name__) from error
        if (stat.st_dev, stat.st_ino) in seen:
            continue
        seen.add((stat.st_dev, stat.st_ino))
        waiting.extend(path for path in reversed(entries) if path.is_dir())
        yield from (path for path in entries if path.is_file())


def has_preamble(stream: BinaryIO) -> bool:
    """Tell whether a file starts as DICOM files do (PS3.10, section 7.1); leaves the stream behind the prefix."""
    return stream.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC


def _read_header(path: Path) -> FileDataset | None:
    try:
        with path.open("rb") as stream:
            if not has_preamble(stream):
                return None
            stream.seek(0)
            header = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(HEADER_TAGS))
            if not _is_mr_image(path, header):
                return None
            _check_complete(path, header, stream)
    except OSError as error:
        raise DicomReadError(path, f"the file cannot be opened ({error.strerror})") from error
    except DicomReadError:
        raise
    except Exception as error:  # damaged files fail in pydicom in many ways
        raise DicomReadError(path, f"the DICOM header is damaged ({type(error).__name__})") from error
    _convert(header)
    return header


def _is_mr_image(path: Path, header: FileDataset) -> bool:
    # The dataset of a truncated file may lack its class; the file's own preface still names it.
    named = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
    if not named or not header.file_meta.get("TransferSyntaxUID"):
        raise DicomReadError(path, "it starts as a DICOM file and then breaks off; export or copy it again")
    return named in _READABLE


def _convert(header: FileDataset) -> None:
    # pydicom converts a value when it is first asked for; asked here, its complaints fall under the caller's filter.
    for tag in list(header.keys()):
        with suppress(ValueError, TypeError, NotImplementedError, OverflowError):
            header[tag]


def _check_complete(path: Path, header: FileDataset, stream: BinaryIO) -> None:
    deflated = header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    if not deflated and stream.read(4) not in _PIXEL_DATA_TAGS:
        raise DicomReadError(path, "it has no pixels or is truncated; export or copy it again")
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID"):
        if not text(header, keyword):
            raise DicomReadError(path, f"its header has no {keyword}; export or copy it again")


def _refuse_mixture(headers: Iterator[Dataset]) -> None:
    patients, studies = set(), set()
    for header in headers:
        patients.add(text(header, "PatientID"))
        studies.add(text(header, "StudyInstanceUID"))
    if len(patients) > 1 or len(studies) > 1:
        raise MixedPatients(len(patients), len(studies))


def _series(slices: list[SliceFile]) -> SeriesFiles:
    header = slices[0].header
    series_number = number(header, "SeriesNumber")
    return SeriesFiles(
        uid=text(header, "SeriesInstanceUID"),
        number=None if series_number is None else int(series_number),
        slices=tuple(slices),
    )
