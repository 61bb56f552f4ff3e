"""Headers of MR images, and what a file is that holds none."""

from contextlib import suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from tds_clinical.dicom._archives import is_archive
from tds_clinical.dicom._dataset import has_preamble, parse, starts_like_dicom
from tds_clinical.dicom._model import PixelPlace
from tds_clinical.dicom._quick_headers import read_quickly
from tds_clinical.dicom._tags import HEADER_TAGS, text
from tds_clinical.errors import DicomReadError

ENHANCED_CLASSES: Final = frozenset({EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage})
_READABLE: Final = ENHANCED_CLASSES | {MRImageStorage}
_NATIVE: Final = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian})
_VR_BYTES: Final = 4
_UNDEFINED: Final = 0xFFFFFFFF
_UIDS: Final = ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID")
_PIXEL_DATA_TAGS: Final = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")


class Ignored(StrEnum):
    """What a file is that is no MR image."""

    NOT_DICOM = "no DICOM"
    ARCHIVE = "archive"
    DIRECTORY = "DICOMDIR"
    SEGMENTATION = "segmentation"
    REPORT = "structured report"
    PRESENTATION = "presentation state"
    DOCUMENT = "document"
    OTHER_IMAGE = "image of another kind"
    OTHER = "DICOM object of another kind"


_IGNORED_NAMES: Final = (
    ("Segmentation", Ignored.SEGMENTATION),
    ("Presentation State", Ignored.PRESENTATION),
    ("Encapsulated", Ignored.DOCUMENT),
    (" SR", Ignored.REPORT),
    ("Key Object", Ignored.REPORT),
    ("Image Storage", Ignored.OTHER_IMAGE),
)


class FoundImage(NamedTuple):
    """An MR image.

    Attributes:
        header: The part of its header that grouping, identification and geometry need.
        pixels: Where its pixels lie; `None` if they are compressed.
    """

    header: FileDataset
    pixels: PixelPlace | None


def read_image_header(path: Path) -> FoundImage | Ignored:
    """Return the header of an MR image and where its pixels lie, or what else a file is.

    Args:
        path: Any file.

    Raises:
        DicomReadError: If it is an MR image that is damaged, or may not be read.
    """
    try:
        quick = _read_quickly(path)
        if quick is not None:
            return quick
        with path.open("rb") as stream:
            if not starts_like_dicom(stream):
                return Ignored.ARCHIVE if is_archive(path) else Ignored.NOT_DICOM
            bare = not has_preamble(stream)
            stream.seek(0)
            return _read(path, stream, bare=bare)
    except OSError as error:
        raise DicomReadError(path, f"the file cannot be opened ({error.strerror})") from error


def _read_quickly(path: Path) -> FoundImage | None:
    """Return a well-formed classic image; `None` if a file is anything else, to be looked at thoroughly."""
    with path.open("rb", buffering=0) as stream:
        found = read_quickly(stream)
    if found is None or text(found[0], "SOPClassUID") != MRImageStorage or not all(map(partial(text, found[0]), _UIDS)):
        return None
    return FoundImage(*found)


def _read(path: Path, stream: BinaryIO, *, bare: bool) -> FoundImage | Ignored:
    try:
        header = parse(path, stream, tags=HEADER_TAGS)
        named = _class_of(header)
        if bare and not named:
            return Ignored.NOT_DICOM
        _check_begun(path, header)
        if named not in _READABLE:
            return _kind(named)
        pixels = _find_pixels(path, header, stream)
    except (DicomReadError, OSError):
        raise
    except Exception as error:  # damaged files fail in pydicom in many ways
        if bare:
            return Ignored.NOT_DICOM
        raise DicomReadError(path, f"the DICOM header is damaged ({type(error).__name__})") from error
    _convert(header)
    return FoundImage(header, pixels)


def _class_of(header: FileDataset) -> str:
    # The dataset of a truncated file may lack its class; the file's own preface still names it.
    return text(header.file_meta, "MediaStorageSOPClassUID") or text(header, "SOPClassUID")


def _check_begun(path: Path, header: FileDataset) -> None:
    if not _class_of(header) or not header.file_meta.get("TransferSyntaxUID"):
        raise DicomReadError(path, "it starts as a DICOM file and then breaks off; export or copy it again")


def _kind(sop_class: str) -> Ignored:
    if sop_class == MediaStorageDirectoryStorage:
        return Ignored.DIRECTORY
    name = UID(sop_class).name
    return next((kind for part, kind in _IGNORED_NAMES if part in name), Ignored.OTHER)


def _convert(header: FileDataset) -> None:
    # pydicom converts a value when it is first asked for; asked here, its complaints fall under the caller's filter.
    for tag in list(header.keys()):
        with suppress(Exception):  # damaged values fail in many ways; whoever asks for one is told that it is missing
            header[tag]


def _find_pixels(path: Path, header: FileDataset, stream: BinaryIO) -> PixelPlace | None:
    syntax = text(header.file_meta, "TransferSyntaxUID")
    deflated = syntax == DeflatedExplicitVRLittleEndian
    if not deflated and stream.read(4) not in _PIXEL_DATA_TAGS:
        raise DicomReadError(path, "it has no pixels or is truncated; export or copy it again")
    for keyword in _UIDS:
        if not text(header, keyword):
            raise DicomReadError(path, f"its header has no {keyword}; export or copy it again")
    if syntax not in _NATIVE:
        return None
    is_implicit, is_little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    if not is_implicit:
        stream.read(_VR_BYTES)
    length = int.from_bytes(stream.read(4), "little" if is_little_endian else "big")
    if length == _UNDEFINED:
        raise DicomReadError(
            path, "its pixels are compressed, and its transfer syntax says that they are not; export it again"
        )
    return PixelPlace(offset=stream.tell(), length=length, is_little_endian=is_little_endian)
