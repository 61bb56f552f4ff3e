"""Headers of well-formed image files, read faster than by parsing whatever a file may hold.

Of a file in little endian with preamble, the elements are stepped over until the pixels, and the wanted ones are kept
as they are stored; nothing is decoded before it is asked for. Whatever is unusual (other encodings, damage, wanted
elements that are sequences) is left to the thorough way by giving up.
"""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO, Final

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import AllTransferSyntaxes, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tds_clinical.dicom._model import PixelPlace
from tds_clinical.dicom._tags import HEADER_TAGS

_CHUNK_BYTES: Final = 1 << 16
_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
_EXPLICIT: Final = struct.Struct("<HH2sH")
_IMPLICIT: Final = struct.Struct("<HHI")
_GROUP: Final = struct.Struct("<H")
_LENGTH: Final = struct.Struct("<I")
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT: Final = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS"}
    | {b"ST", b"TM", b"UI", b"UL", b"US"}
)
_HEAD_BYTES: Final = {**dict.fromkeys(_SHORT, 8), **dict.fromkeys(_LONG, 12)}
_NATIVE: Final = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})
_COMPRESSED: Final = frozenset(syntax for syntax in AllTransferSyntaxes if syntax.is_compressed)
_UNDEFINED: Final = 0xFFFFFFFF
_META_GROUP: Final = 0x0002
_PIXEL_DATA: Final = 0x7FE00010
_FIRST_PIXELS: Final = 0x7FE00008
_ITEM_GROUP: Final = 0xFFFE
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_CHARACTER_SET: Final = 0x00080005
_SYNTAX: Final = 0x00020010
_DEEPEST: Final = 16
_LONGEST_VALUE: Final = 4096
_WANTED: Final[Mapping[int, tuple[BaseTag, str]]] = MappingProxyType(
    {
        int(tag): (BaseTag(tag), dictionary_VR(tag))
        for tag in (tag_for_keyword(keyword) for keyword in ("SpecificCharacterSet", *HEADER_TAGS))
        if tag is not None
    }
)
_WANTED_META: Final[Mapping[int, tuple[BaseTag, str]]] = MappingProxyType(
    {tag: (BaseTag(tag), "UI") for tag in (0x00020002, 0x00020003, _SYNTAX)}
)


_Elements = dict[BaseTag, DataElement | RawDataElement]


class _Unusual(Exception):
    """The file is not one of those that can be read quickly."""


class _Window:
    """A part of a file, moved along as needed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.start = 0
        self.data = stream.read(_CHUNK_BYTES)

    def index(self, position: int, count: int) -> int:
        """Return where a position of the file is in `data`, which then holds `count` bytes from there."""
        index = position - self.start
        if index + count > len(self.data):
            self._stream.seek(position)
            self.start, self.data, index = position, self._stream.read(max(_CHUNK_BYTES, count)), 0
            if len(self.data) < count:
                raise _Unusual
        return index


def read_quickly(stream: BinaryIO) -> tuple[FileDataset, PixelPlace | None] | None:
    """Return the wanted elements of an image file and where its pixels lie, or `None` if that takes a closer look.

    Args:
        stream: The file, at its start; unbuffered is best.
    """
    try:
        window = _Window(stream)
        if window.data[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_MAGIC)] != _MAGIC:
            return None
        meta: _Elements = {}
        begin = _collect(window, _PREAMBLE_BYTES + len(_MAGIC), meta, _WANTED_META, is_implicit=False)
        syntax = (meta[BaseTag(_SYNTAX)].value or b"").rstrip(b"\0 ").decode("ascii")
        is_implicit, is_native = syntax == ImplicitVRLittleEndian, syntax in _NATIVE
        if not is_native and syntax not in _COMPRESSED:
            return None
        elements: _Elements = {}
        end = _collect(window, begin, elements, _WANTED, is_implicit=is_implicit)
        place = _pixels(window, end, is_implicit=is_implicit)
        if is_native and place.length == _UNDEFINED:
            return None
        return _dataset(elements, meta, is_implicit=is_implicit), place if is_native else None
    except (_Unusual, KeyError, ValueError, LookupError):
        return None


def _collect(
    window: _Window,
    position: int,
    elements: _Elements,
    wanted: Mapping[int, tuple[BaseTag, str]],
    *,
    is_implicit: bool,
) -> int:
    """Collect wanted elements from a position on and return where the next group of another kind begins."""
    is_meta = wanted is _WANTED_META
    while True:
        if is_meta and _GROUP.unpack_from(window.data, window.index(position, _GROUP.size)) != (_META_GROUP,):
            return position
        tag, vr, length, head = _head(window, position, is_implicit=is_implicit)
        if tag >= _FIRST_PIXELS:
            return position
        position += head
        if length == _UNDEFINED:
            if tag in wanted:
                raise _Unusual
            position = _behind_sequence(window, position, is_implicit=is_implicit or vr == b"UN", depth=1)
            continue
        found = wanted.get(tag)
        if found is not None:
            if length > _LONGEST_VALUE or vr == b"SQ" or found[1] == "SQ":
                raise _Unusual
            index = window.index(position, length)
            name = found[1] if vr is None else vr.decode()
            value = window.data[index : index + length]
            elements[found[0]] = RawDataElement(
                found[0], name, length, value, position, is_implicit_VR=is_implicit, is_little_endian=True
            )
        position += length


def _head(window: _Window, position: int, *, is_implicit: bool) -> tuple[int, bytes | None, int, int]:
    """Return an element's tag, value representation, length of value and length of head."""
    index = position - window.start
    if index + 12 > len(window.data):
        index = window.index(position, 12)
    if is_implicit:
        group, element, length = _IMPLICIT.unpack_from(window.data, index)
        return group << 16 | element, None, length, _IMPLICIT.size
    group, element, vr, length = _EXPLICIT.unpack_from(window.data, index)
    head = _HEAD_BYTES.get(vr)
    if head is None:
        raise _Unusual
    if head != _EXPLICIT.size:
        (length,) = _LENGTH.unpack_from(window.data, index + _EXPLICIT.size)
    return group << 16 | element, vr, length, head


def _behind_sequence(window: _Window, position: int, *, is_implicit: bool, depth: int) -> int:
    """Return the position behind a sequence of undefined length (PS3.5, section 7.5)."""
    if depth > _DEEPEST:
        raise _Unusual
    while True:
        group, element, length = _IMPLICIT.unpack_from(window.data, window.index(position, _IMPLICIT.size))
        tag = group << 16 | element
        position += _IMPLICIT.size
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _Unusual
        position = (
            _behind_item(window, position, is_implicit=is_implicit, depth=depth)
            if length == _UNDEFINED
            else position + length
        )


def _behind_item(window: _Window, position: int, *, is_implicit: bool, depth: int) -> int:
    while True:
        group, element = struct.unpack_from("<HH", window.data, window.index(position, _IMPLICIT.size))
        if group == _ITEM_GROUP:
            if group << 16 | element != _ITEM_END:
                raise _Unusual
            return position + _IMPLICIT.size
        _, vr, length, head = _head(window, position, is_implicit=is_implicit)
        position += head
        if length == _UNDEFINED:
            position = _behind_sequence(window, position, is_implicit=is_implicit or vr == b"UN", depth=depth + 1)
        else:
            position += length


def _pixels(window: _Window, position: int, *, is_implicit: bool) -> PixelPlace:
    tag, _, length, head = _head(window, position, is_implicit=is_implicit)
    if tag != _PIXEL_DATA:
        raise _Unusual
    return PixelPlace(offset=position + head, length=length, is_little_endian=True)


def _dataset(elements: _Elements, meta: _Elements, *, is_implicit: bool) -> FileDataset:
    header = FileDataset("", elements, file_meta=FileMetaDataset(meta), is_implicit_VR=is_implicit)
    character_set = elements.get(BaseTag(_CHARACTER_SET))
    if character_set is not None and character_set.value:
        names = character_set.value.decode("ascii").split("\\")
        encodings = convert_encodings([name.strip("\0 ") for name in names])
        header.set_original_encoding(is_implicit, is_little_endian=True, character_encoding=encodings)
    return header
