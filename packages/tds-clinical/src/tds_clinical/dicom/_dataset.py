"""Datasets read from files that need not be well-behaved: without preamble, deflated, damaged.

pydicom does the parsing; what is added here is what it leaves to its caller: files without the 128-byte preamble
(PS3.10, section 7.1), which old archives write, and a limit to what a deflated dataset may grow to.
"""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import pydicom
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tds_clinical.errors import DicomReadError

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_START_BYTES: Final = 8
# File meta information, or the first element of an image: (0008,0000) to (0008,0018), in each encoding.
_META: Final = re.compile(rb"\x02\x00[\x00-\x02]\x00(?:UL|OB|UI)", re.DOTALL)
_EXPLICIT: Final = re.compile(rb"\x08\x00[\x00-\x18]\x00(?:UL|UI|CS|SH|LO|DA|TM|DT)", re.DOTALL)
_IMPLICIT: Final = re.compile(rb"\x08\x00[\x00-\x18]\x00[\x00-\xff][\x00-\x03]\x00\x00", re.DOTALL)
_BIG_ENDIAN: Final = re.compile(rb"\x00\x08\x00[\x00-\x18](?:UL|UI|CS|SH|LO|DA|TM|DT)", re.DOTALL)
_DATASET_START: Final = _PREAMBLE_BYTES + len(_MAGIC)
_META_GROUP: Final = 0x0002
_FREE_INFLATED_BYTES: Final = 64 << 20
_MOST_INFLATED: Final = 100
_CHUNK_BYTES: Final = 1 << 20


def has_preamble(stream: BinaryIO) -> bool:
    """Tell whether a file starts as DICOM files do (PS3.10, section 7.1); leaves the stream behind the prefix."""
    return stream.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC


def starts_like_dicom(stream: BinaryIO) -> bool:
    """Tell whether a file may be DICOM, with or without preamble; leaves the stream at its start.

    Args:
        stream: The file, at its start.
    """
    start = stream.read(_PREAMBLE_BYTES + len(_MAGIC))
    stream.seek(0)
    bare = (_META, _EXPLICIT, _IMPLICIT, _BIG_ENDIAN)
    return start[_PREAMBLE_BYTES:] == _MAGIC or any(pattern.match(start[:_START_BYTES]) for pattern in bare)


def parse(path: Path, stream: BinaryIO, *, tags: Sequence[str] | None = None, pixels: bool = False) -> FileDataset:
    """Return the dataset in an open file, its transfer syntax filled in where the file names none.

    Args:
        path: The file, for messages.
        stream: The file, at its start; with `pixels` false it is left before the pixels.
        tags: Keywords to keep; all by default.
        pixels: Whether to read the pixels, too.

    Raises:
        DicomReadError: If a deflated dataset is larger than any image.
        Exception: Whatever pydicom raises at damage.
    """
    bare = not has_preamble(stream)
    _check_deflated(path, stream, 0 if bare else _DATASET_START)
    stream.seek(0)
    keep = None if tags is None else list(tags)
    dataset = pydicom.dcmread(stream, stop_before_pixels=not pixels, specific_tags=keep, force=bare)
    if bare and not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = _encoding(dataset)
    return dataset


def read_dataset(path: Path, *, tags: Sequence[str] | None = None, pixels: bool = False) -> FileDataset:
    """Return the dataset in a file.

    Args:
        path: The file.
        tags: Keywords to keep; all by default.
        pixels: Whether to read the pixels, too.

    Raises:
        DicomReadError: If it cannot be opened or is damaged.
    """
    try:
        with path.open("rb") as stream:
            return parse(path, stream, tags=tags, pixels=pixels)
    except OSError as error:
        raise DicomReadError(path, f"the file cannot be opened ({error.strerror})") from error
    except DicomReadError:
        raise
    except Exception as error:  # damaged files fail in pydicom in many ways
        raise DicomReadError(path, f"the DICOM header is damaged ({type(error).__name__})") from error


def _encoding(dataset: FileDataset) -> UID:
    is_implicit, is_little_endian = dataset.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little_endian else ExplicitVRBigEndian


def _check_deflated(path: Path, stream: BinaryIO, begin: int) -> None:
    # pydicom inflates whatever it finds at once. Where that begins, it is asked itself: another reader might see the
    # file's preface end elsewhere, and look at other bytes.
    stream.seek(begin)
    preface = pydicom.filereader.read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond)
    if preface.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflater, inflated_bytes, packed_bytes = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    while not inflater.eof:
        packed = inflater.unconsumed_tail or stream.read(_CHUNK_BYTES)
        if not packed:
            raise DicomReadError(path, "its deflated dataset is damaged or breaks off; export or copy it again")
        packed_bytes += 0 if inflater.unconsumed_tail else len(packed)
        inflated_bytes += len(inflater.decompress(packed, _CHUNK_BYTES))
        if inflated_bytes > max(_FREE_INFLATED_BYTES, _MOST_INFLATED * packed_bytes):
            reason = f"its deflated dataset grows beyond {inflated_bytes} bytes; export it uncompressed"
            raise DicomReadError(path, reason)


def _is_beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != _META_GROUP
