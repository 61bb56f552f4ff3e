"""The volumes of a series: echoes, time points, b-values and so on, told apart.

Pictures that lie at one place belong to different volumes. What tells them apart is looked for in a fixed order, from
what makes another image (its kind, echo, inversion, diffusion weighting) to what makes another time. The first
attribute that leaves fewer pictures at each place splits the series, and each part is split further by those that
follow. An attribute that may also change from slice to slice, as a trigger time does, splits only if each of its values
covers all places. If none does and each place has equally many pictures, they are counted through: the order of their
instance and frame numbers at one place is the order of the volumes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Final, TypeVar

from pydicom.dataset import Dataset

from tds_clinical.dicom._model import SliceFile
from tds_clinical.dicom._planes import difference, read_planes, slice_places
from tds_clinical.dicom._tags import number, numbers, text, texts
from tds_clinical.errors import DicomReadError

_FEWEST_PLACES: Final = 2
_MOST_DIMENSIONS: Final = 64
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MAGNITUDE": "magnitude",
        "PHASE": "phase",
        "REAL": "real part",
        "IMAGINARY": "imaginary part",
        "M": "magnitude",
        "P": "phase",
        "R": "real part",
        "I": "imaginary part",
        "WATER": "water",
        "FAT": "fat",
        "W": "water",
        "F": "fat",
        "IN_PHASE": "in phase",
        "OPP_PHASE": "opposed phase",
        "OUT_PHASE": "opposed phase",
        "ADC": "ADC",
        "FA": "FA",
        "TRACEW": "trace",
        "T1 MAP": "T1 map",
        "T2 MAP": "T2 map",
    }
)
"""What parts of Image Type and Complex Image Component say of an image (PS3.3, sections C.8.3.1 and C.8.13.3.1)."""

_Key = tuple[object, ...]
_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One volume of a series.

    Attributes:
        files: Its pictures.
        words: What tells it from the others, such as `echo 2 of 3`; empty if there are no others.
    """

    files: tuple[SliceFile, ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attribute:
    """Something that may tell volumes apart.

    Attributes:
        word: What each of its values is called.
        key: Its value for one picture.
        by_slice: Whether it may change from slice to slice within one volume.
    """

    word: str
    key: Callable[[SliceFile], _Key]
    by_slice: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Picture:
    file: SliceFile
    place: int


def split_volumes(files: Sequence[SliceFile]) -> tuple[Part, ...]:
    """Return the volumes of a series, in the order of what tells them apart.

    A series that cannot be told apart comes back as one part; reading it refuses it.

    Args:
        files: All pictures of a series.
    """
    stacks = _stacks(files)
    parts: list[Part] = []
    for position, stack in enumerate(stacks, start=1):
        words = (f"stack {position} of {len(stacks)}",) if len(stacks) > 1 else ()
        parts += _split_stack(stack, words)
    return tuple(parts)


def _stacks(files: Sequence[SliceFile]) -> Sequence[Sequence[SliceFile]]:
    if not all(file.frame is not None and text(file.header, "StackID") for file in files):
        return [files]
    stacks = _by(files, lambda file: (text(file.header, "StackID"),))
    # A stack for each frame says nothing; such frames are told apart by their places.
    return stacks if min(map(len, stacks)) >= _FEWEST_PLACES else [files]


def _split_stack(files: Sequence[SliceFile], words: tuple[str, ...]) -> list[Part]:
    whole = [Part(files=tuple(files), words=words)]
    if len(files) <= _FEWEST_PLACES or any(file.problem for file in files):
        return whole
    try:
        planes = read_planes(files)
    except DicomReadError:
        return whole  # reading it says what is wrong
    if difference(planes):
        return whole
    places = slice_places(planes)
    pictures = [_Picture(file=plane.file, place=place) for plane, place in zip(planes, places, strict=True)]
    return list(_split(pictures, [*_ATTRIBUTES, *_dimensions(files), *_LAST], words))


def _split(pictures: list[_Picture], attributes: Sequence[_Attribute], words: tuple[str, ...]) -> Iterator[Part]:
    crowd = _crowd(pictures)
    if crowd > 1:
        for position, attribute in enumerate(attributes):
            groups = _by(pictures, partial(_value, attribute))
            if _separates(groups, pictures, crowd, attribute):
                for name, group in zip(_names(attribute, groups), groups, strict=True):
                    yield from _split(group, attributes[position + 1 :], (*words, name))
                return
        groups = _counted_through(pictures, crowd)
        for turn, group in enumerate(groups, start=1):
            yield Part(files=_files(group), words=(*words, f"volume {turn} of {len(groups)}"))
        if groups:
            return
    yield Part(files=_files(pictures), words=words)


def _value(attribute: _Attribute, picture: _Picture) -> _Key:
    return attribute.key(picture.file)


def _separates(groups: list[list[_Picture]], pictures: list[_Picture], crowd: int, attribute: _Attribute) -> bool:
    if len(groups) == 1 or any(_crowd(group) >= crowd for group in groups):
        return False
    places = len({picture.place for picture in pictures})
    covered = min(len({picture.place for picture in group}) for group in groups)
    return covered == places if attribute.by_slice else covered >= min(_FEWEST_PLACES, places)


def _counted_through(pictures: list[_Picture], crowd: int) -> list[list[_Picture]]:
    at_place: dict[int, list[tuple[_Key, _Picture]]] = defaultdict(list)
    for picture in pictures:
        at_place[picture.place].append((_turn(picture.file), picture))
    volumes: list[list[_Picture]] = [[] for _ in range(crowd)]
    for entries in at_place.values():
        entries.sort(key=lambda entry: entry[0])
        repeated = any(first[0] == second[0] for first, second in pairwise(entries))
        if len(entries) != crowd or repeated:
            return []
        for volume, (_, picture) in zip(volumes, entries, strict=True):
            volume.append(picture)
    return volumes


def _turn(file: SliceFile) -> _Key:
    return (number(file.header, "InstanceNumber") or 0.0, file.frame or 0)


def _crowd(pictures: Sequence[_Picture]) -> int:
    return max(Counter(picture.place for picture in pictures).values())


def _files(pictures: Sequence[_Picture]) -> tuple[SliceFile, ...]:
    return tuple(picture.file for picture in pictures)


def _by(entries: Sequence[_Entry], key: Callable[[_Entry], _Key]) -> list[list[_Entry]]:
    groups: dict[_Key, list[_Entry]] = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return [groups[value] for value in sorted(groups, key=_sortable)]


def _sortable(key: _Key) -> tuple[tuple[bool, object], ...]:
    return tuple((value is not None, "" if value is None else value) for value in key)


def _names(attribute: _Attribute, groups: list[list[_Picture]]) -> list[str]:
    if attribute.word == _KIND:
        said = [_kind_words(group[0].file.header) for group in groups]
        shared = set.intersection(*map(set, said))
        names = [", ".join(word for word in words if word not in shared) for words in said]
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"{attribute.word} {turn} of {len(groups)}" for turn in range(1, len(groups) + 1)]


def _kind_words(header: Dataset) -> tuple[str, ...]:
    said = (*texts(header, "ComplexImageComponent"), *texts(header, "ImageType")[2:])
    return tuple(dict.fromkeys(_KINDS[word.upper()] for word in said if word.upper() in _KINDS))


def _kind(file: SliceFile) -> _Key:
    return (text(file.header, "ComplexImageComponent").upper(), text(file.header, "ImageType").upper())


def _numbered(*keywords: str) -> Callable[[SliceFile], _Key]:
    def key(file: SliceFile) -> _Key:
        return next(((value,) for value in (number(file.header, k) for k in keywords) if value is not None), (None,))

    return key


def _direction(file: SliceFile) -> _Key:
    return numbers(file.header, "DiffusionGradientOrientation", 3) or (None, None, None)


def _dimensions(files: Sequence[SliceFile]) -> list[_Attribute]:
    lengths = {len(texts(file.header, "DimensionIndexValues")) for file in files}
    count = lengths.pop() if len(lengths) == 1 else 0
    if count > _MOST_DIMENSIONS:
        return []

    def at(position: int) -> Callable[[SliceFile], _Key]:
        return lambda file: (_indices(file)[position],)

    return [_Attribute(word="volume", key=at(position), by_slice=True) for position in range(count)]


def _indices(file: SliceFile) -> tuple[float, ...]:
    parts = texts(file.header, "DimensionIndexValues")
    return numbers(file.header, "DimensionIndexValues", len(parts)) or ()


_KIND: Final = "kind"
_ATTRIBUTES: Final = (
    _Attribute(word=_KIND, key=_kind),
    _Attribute(word="echo", key=_numbered("EchoTime", "EchoNumbers")),
    _Attribute(word="inversion", key=_numbered("InversionTime")),
    _Attribute(word="flip angle", key=_numbered("FlipAngle")),
    _Attribute(word="b-value", key=_numbered("DiffusionBValue")),
    _Attribute(word="direction", key=_direction),
    _Attribute(word="time point", key=_numbered("TemporalPositionIdentifier")),
    _Attribute(word="phase", key=_numbered("TriggerTime"), by_slice=True),
)
_LAST: Final = (_Attribute(word="acquisition", key=_numbered("AcquisitionNumber"), by_slice=True),)
