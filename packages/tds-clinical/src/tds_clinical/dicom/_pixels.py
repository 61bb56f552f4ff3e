"""Stored pixels, decoded by whichever plug-in of pydicom can, and never more of them than a file can hold."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydicom import config
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tds_clinical.dicom._tags import number, text
from tds_clinical.errors import DicomReadError
from tds_data.volume import VoxelArray

_ORDER: Final = ("pylibjpeg", "pydicom", "gdcm", "pyjpegls", "pillow")
_EXTRAS: Final = "tds-clinical[jpeg] or tds-clinical[gdcm]"
_EXTRA_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        JPEGBaseline8Bit: _EXTRAS,
        JPEGExtended12Bit: _EXTRAS,
        JPEGLossless: _EXTRAS,
        JPEGLosslessSV1: _EXTRAS,
        JPEGLSLossless: _EXTRAS,
        JPEGLSNearLossless: _EXTRAS,
        JPEG2000: "pylibjpeg-openjpeg",
        JPEG2000Lossless: "pylibjpeg-openjpeg",
        HTJ2K: "pylibjpeg-openjpeg",
        HTJ2KLossless: "pylibjpeg-openjpeg",
        HTJ2KLosslessRPCL: "pylibjpeg-openjpeg",
        RLELossless: "pylibjpeg-rle",
    }
)
_LOSSY_SYNTAXES: Final = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless})
_FREE_BYTES: Final = 64 << 20
_MOST_COMPRESSED: Final = 500
_BITS: Final = 8
_PANIC: Final = "PanicException"


def decode_pixels(path: Path, dataset: FileDataset, *, frame: int | None = None) -> VoxelArray:
    """Return the stored pixels of a dataset, shape (rows, columns) or (frames, rows, columns), without rescaling.

    Args:
        path: The file, for messages.
        dataset: What `read_dataset` returned, with its pixels.
        frame: Number of the only frame to decode, counted from 1; all by default.

    Raises:
        DicomReadError: If there are fewer pixels than the header says, more than the file can hold, or nothing is
            installed that can decode them.
    """
    try:
        syntax = _syntax(dataset)
        _check_claims(path, dataset, compressed=_is_compressed(syntax))
        return _decode(path, dataset, syntax, frame)
    except DicomReadError:
        raise
    except Exception as error:  # each decoder has errors of its own
        raise _undecodable(path, dataset, type(error).__name__) from error


def most_decoded(stored_bytes: int) -> int:
    """Return how many bytes compressed pixels may unpack to; a header that claims more is damaged or hostile.

    Args:
        stored_bytes: Size of what is stored.
    """
    return max(_FREE_BYTES, _MOST_COMPRESSED * stored_bytes)


def why_not_decodable(path: Path, header: FileDataset) -> str:
    """Return why the pixels of a file cannot be decoded with what is installed; empty if nothing is known against it.

    Args:
        path: The file, for the message.
        header: Its header with its file meta information.
    """
    syntax = _syntax(header)
    if not _is_compressed(syntax) or _plugins(syntax):
        return ""
    return str(_without_decoder(path, syntax))


def is_lossy(header: FileDataset) -> bool:
    """Tell whether pixels were ever compressed with loss (PS3.3, section C.7.6.1.1.5), so far as the file says.

    Args:
        header: Header of an image with its file meta information.
    """
    syntax = text(header.file_meta, "TransferSyntaxUID")
    return text(header, "LossyImageCompression") == "01" or syntax in _LOSSY_SYNTAXES


def _check_claims(path: Path, dataset: FileDataset, *, compressed: bool) -> None:
    sides = (number(dataset, "Rows"), number(dataset, "Columns"), number(dataset, "BitsAllocated"))
    if None in sides:
        raise DicomReadError(path, "its header does not say how many pixels there are; export it again")
    counts = (*sides, number(dataset, "NumberOfFrames") or 1, number(dataset, "SamplesPerPixel") or 1)
    claimed = math.prod(value for value in counts if value is not None) / _BITS
    stored = len(dataset.get("PixelData") or b"")
    most = most_decoded(stored) if compressed else stored
    if not 0 < claimed <= most:
        reason = f"its header claims {claimed:.0f} bytes of pixels, {stored} are stored; it is truncated or damaged"
        raise DicomReadError(path, reason)


def _decode(path: Path, dataset: FileDataset, syntax: UID, frame: int | None) -> VoxelArray:
    if not _is_compressed(syntax):
        return dataset.pixel_array
    index = None if frame is None else frame - 1
    failures = []
    for plugin in _plugins(syntax):
        try:
            return pixel_array(dataset, index=index, decoding_plugin=plugin)
        except Exception as error:  # noqa: BLE001  # each plug-in has errors of its own; the next may do better
            failures.append(f"{plugin}: {type(error).__name__}")
        except BaseException as error:
            # A plug-in in Rust panics with a type that is no Exception and can be imported from nowhere.
            if type(error).__name__ != _PANIC:
                raise
            failures.append(f"{plugin}: {_PANIC}")
    if failures:
        raise _undecodable(path, dataset, ", ".join(failures))
    raise _without_decoder(path, syntax)


def _plugins(syntax: UID) -> list[str]:
    if syntax not in _EXTRA_OF:
        return []
    available = get_decoder(syntax).available_plugins
    return [name for name in _ORDER if name in available]


def _without_decoder(path: Path, syntax: UID) -> DicomReadError:
    way_out = f"install {_EXTRA_OF[syntax]}" if syntax in _EXTRA_OF else "export it uncompressed"
    return DicomReadError(path, f"nothing that is installed can decode its pixels ({_name(syntax)}); {way_out}")


def _syntax(header: FileDataset) -> UID:
    # What is no UID is simply none that anything is known of; pydicom would warn and repeat it.
    return UID(text(header.file_meta, "TransferSyntaxUID"), config.IGNORE)


def _is_compressed(syntax: UID) -> bool:
    return syntax.is_transfer_syntax and syntax.is_compressed


def _undecodable(path: Path, dataset: FileDataset, why: str) -> DicomReadError:
    syntax = _syntax(dataset)
    return DicomReadError(path, f"its pixels cannot be decoded ({_name(syntax)}; {why}); export it again")


def _name(syntax: UID) -> str:
    # A damaged file may name anything here, an identifier too: only what the standard lists is repeated.
    return f"transfer syntax {syntax.name}" if syntax.is_transfer_syntax else "an unknown transfer syntax"
