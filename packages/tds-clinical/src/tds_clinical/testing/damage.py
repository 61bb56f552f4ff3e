"""DICOM files damaged in the ways that transfers, exports and attackers damage them.

The damage is done to bytes, so that it reaches what no library would write: lengths beyond the file, value
representations that do not exist, sequences nested without end. One seed always does the same damage.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

_PREAMBLE_BYTES: Final = 132
_UNDEFINED: Final = 0xFFFFFFFF
_LONG_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_VRS: Final = (b"UI", b"DS", b"IS", b"SQ", b"OW", b"FD", b"US", b"TM", b"PN", b"AT", b"UN", b"ZZ", b"\0\0", b"us")
_LENGTHS: Final = (0, 1, 3, 7, 255, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_TEXTS: Final = (
    b"1e999",
    b"nan",
    b"-inf",
    b"-1",
    b"0",
    b"99999999999",
    b"1\\2\\3",
    b"\\\\\\",
    b"\xff\xfe\xfd\xfc",
    b"1" * 64,
    b"",
    b"1,5",
)
_NUMBERS: Final = (0, 1, 3, 7, 0x7FFF, 0x8000, 0xFFFF)
_GEOMETRY: Final = tuple(
    struct.pack("<HH", *tag)
    for tag in (
        (0x0020, 0x0032),
        (0x0020, 0x0037),
        (0x0028, 0x0030),
        (0x0028, 0x0010),
        (0x0028, 0x0011),
        (0x0018, 0x0050),
        (0x0018, 0x0088),
        (0x0020, 0x0052),
        (0x0028, 0x0100),
        (0x0020, 0x9113),
        (0x0020, 0x9116),
        (0x5200, 0x9230),
        (0x0028, 0x0008),
        (0x0008, 0x0018),
    )
)
_SIZES: Final = tuple(
    struct.pack("<HH", 0x0028, element) for element in (0x0002, 0x0008, 0x0010, 0x0011, 0x0100, 0x0101, 0x0102, 0x0103)
)
_DEEPEST: Final = 3000


@dataclass(frozen=True, slots=True)
class _Element:
    start: int
    value: int
    end: int
    long: bool


_Damage = Callable[[bytearray, np.random.Generator], bytearray]


def damage_file(content: bytes, seed: int) -> bytes:
    """Return a DICOM file, damaged once to three times.

    Args:
        content: A file in Explicit VR Little Endian or encapsulated, with its preamble.
        seed: Decides what becomes of it.
    """
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        damage = _DAMAGES[int(rng.integers(len(_DAMAGES)))]
        if len(damaged) > _PREAMBLE_BYTES:
            damaged = damage(damaged, rng)
    return bytes(damaged)


def _elements(content: bytearray, start: int = _PREAMBLE_BYTES) -> list[_Element]:
    """Return the elements of a dataset, as far as they can be walked; items of undefined length are entered."""
    found = []
    while start + 8 <= len(content):
        long = bytes(content[start + 4 : start + 6]) in _LONG_VRS
        if content[start : start + 2] == b"\xfe\xff":
            start += 8
            continue
        if long and start + 12 > len(content):
            break
        value = start + (12 if long else 8)
        form = "<I" if long else "<H"
        (length,) = struct.unpack_from(form, content, start + 8 if long else start + 6)
        nested = bytes(content[start + 4 : start + 6]) == b"SQ"
        end = value if nested or length == _UNDEFINED else value + length
        found.append(_Element(start, value, min(end, len(content)), long))
        start = end
    return found


def _any_element(content: bytearray, rng: np.random.Generator) -> _Element | None:
    elements = _elements(content)
    return elements[int(rng.integers(len(elements)))] if elements else None


def _truncate(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: int(rng.integers(0, len(content)))]


def _flip_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(_PREAMBLE_BYTES - 4, len(content), int(rng.integers(1, 20))):
        content[int(place)] ^= 1 << int(rng.integers(8))
    return content


def _overwrite(content: bytearray, rng: np.random.Generator) -> bytearray:
    place, length = int(rng.integers(0, len(content))), int(rng.integers(1, 64))
    return content[:place] + rng.bytes(length) + content[place + length :]


def _insert(content: bytearray, rng: np.random.Generator) -> bytearray:
    place = int(rng.integers(0, len(content)))
    return content[:place] + rng.bytes(int(rng.integers(1, 64))) + content[place:]


def _delete(content: bytearray, rng: np.random.Generator) -> bytearray:
    place = int(rng.integers(0, len(content)))
    return content[:place] + content[place + int(rng.integers(1, 64)) :]


def _wrong_vr(content: bytearray, rng: np.random.Generator) -> bytearray:
    element = _any_element(content, rng)
    if element is not None:
        content[element.start + 4 : element.start + 6] = _VRS[int(rng.integers(len(_VRS)))]
    return content


def _set_length(content: bytearray, element: _Element, length: int) -> None:
    if element.long:
        struct.pack_into("<I", content, element.start + 8, length & _UNDEFINED)
    else:
        struct.pack_into("<H", content, element.start + 6, length & 0xFFFF)


def _absurd_length(content: bytearray, rng: np.random.Generator) -> bytearray:
    element = _any_element(content, rng)
    if element is not None:
        _set_length(content, element, _LENGTHS[int(rng.integers(len(_LENGTHS)))])
    return content


def _swap_lengths(content: bytearray, rng: np.random.Generator) -> bytearray:
    one, other = _any_element(content, rng), _any_element(content, rng)
    if one is not None and other is not None:
        lengths = one.end - one.value, other.end - other.value
        _set_length(content, one, lengths[1])
        _set_length(content, other, lengths[0])
    return content


def _drop_element(content: bytearray, rng: np.random.Generator) -> bytearray:
    element = _any_element(content, rng)
    return content if element is None else content[: element.start] + content[element.end :]


def _drop_geometry(content: bytearray, rng: np.random.Generator) -> bytearray:
    tag = _GEOMETRY[int(rng.integers(len(_GEOMETRY)))]
    for element in reversed(_elements(content)):
        if content[element.start : element.start + 4] == tag:
            del content[element.start : element.end]
    return content


def _absurd_size(content: bytearray, rng: np.random.Generator) -> bytearray:
    tag = _SIZES[int(rng.integers(len(_SIZES)))]
    for element in reversed(_elements(content)):
        if content[element.start : element.start + 4] == tag:
            is_text = content[element.start + 4 : element.start + 6] == b"IS"
            text = _TEXTS[int(rng.integers(len(_TEXTS)))]
            number = struct.pack("<H", _NUMBERS[int(rng.integers(len(_NUMBERS)))])
            content = _with_value(content, element, text if is_text else number)
    return content


def _absurd_value(content: bytearray, rng: np.random.Generator) -> bytearray:
    element = _any_element(content, rng)
    if element is None or element.value == element.end:
        return content
    return _with_value(content, element, _TEXTS[int(rng.integers(len(_TEXTS)))])


def _with_value(content: bytearray, element: _Element, value: bytes) -> bytearray:
    padded = value + b" " * (len(value) % 2)
    _set_length(content, element, len(padded))
    return content[: element.value] + padded + content[element.end :]


def _private_garbage(content: bytearray, rng: np.random.Generator) -> bytearray:
    element = _any_element(content, rng)
    if element is None:
        return content
    group = int(rng.integers(0x0009, 0x0030)) | 1
    creator = struct.pack("<HH2sH", group, 0x0010, b"LO", 8) + rng.bytes(8)
    block = struct.pack("<HH2sHI", group, 0x1001, b"OB", 0, 32) + rng.bytes(32)
    return content[: element.start] + creator + block + content[element.start :]


def _nest(content: bytearray, rng: np.random.Generator) -> bytearray:
    element = _any_element(content, rng)
    if element is None:
        return content
    depth = int(rng.integers(1, _DEEPEST))
    opened = struct.pack("<HH2sHIHHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return content[: element.start] + opened * depth + closed * depth + content[element.start :]


_DAMAGES: Final[tuple[_Damage, ...]] = (
    _truncate,
    _flip_bits,
    _overwrite,
    _insert,
    _delete,
    _wrong_vr,
    _absurd_length,
    _swap_lengths,
    _drop_element,
    _drop_geometry,
    _absurd_size,
    _absurd_value,
    _private_garbage,
    _nest,
)
