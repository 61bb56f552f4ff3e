"""Which axes of a NRRD file lie in space, and where.

World axes LPS, RAS and LAS become RAS+. Without `space` LPS is assumed, and without `space directions` axes that run
along those of space, as ITK does, with a logged warning.
"""

import logging
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.formats._text_header import Fields, parse_numbers
from tds_data.formats.image_file import AffineSource, wrong_axes

_SPATIAL_AXES: Final = 3
_RAS_SIGNS: Final = {
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
}
_SHORT_SPACES: Final = {"".join(word[0] for word in name.split("-")): name for name in _RAS_SIGNS}
_ASSUMED_SIGNS: Final = (-1, -1, 1)
_MM_PER_UNIT: Final = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001, "μm": 0.001}
_UNKNOWN_KINDS: Final = frozenset({"???", "none"})
_SPACE_KINDS: Final = frozenset({"domain", "space"}) | _UNKNOWN_KINDS
_LIST_KINDS: Final = frozenset(
    {"list", "time", "vector", "2-vector", "3-vector", "4-vector", "scalar", "stub", "point"}
)
_VECTOR: Final = re.compile(r"\s*(?:none|\(([^()]*)\))\s*", re.IGNORECASE)
_WORD_OR_QUOTED: Final = re.compile(r'"([^"]*)"')

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of one file.

    Attributes:
        shape: Lengths of the three axes in space.
        volume_axis: The axis that counts volumes, or `None`.
        ras_from_voxel: Affine from voxels to RAS+ millimetres.
        source: Whether the header says where left and right are.
    """

    shape: tuple[int, int, int]
    volume_axis: int | None
    ras_from_voxel: NDArray[np.float64]
    source: AffineSource


def find_axes(fields: Fields, sizes: tuple[int, ...]) -> Axes:
    """Return the axes that a header describes.

    Args:
        fields: The header, with field names in lower case.
        sizes: The length of each axis.

    Raises:
        VolumeReadError: If they are not three axes in space, perhaps with one more that counts volumes, or the
            header's space is none of a patient.
    """
    signs, space_dimension = _space(fields)
    if len(sizes) not in {_SPATIAL_AXES, _SPATIAL_AXES + 1}:
        raise wrong_axes(fields.path, sizes)
    if "space directions" in fields.values:
        volume_axis, affine = _directed(fields, len(sizes), space_dimension)
    else:
        volume_axis, affine = _spaced(fields, len(sizes), space_dimension)
    _check_kinds(fields, len(sizes), volume_axis)
    x, y, z = (size for axis, size in enumerate(sizes) if axis != volume_axis)
    source = AffineSource.HEADER
    if not {"space", "space directions"} <= set(fields.values):
        logger.warning("nrrd_without_orientation file=%s: the axes LPS are assumed", fields.path.name)
        source = AffineSource.ASSUMED
    factor = _mm_factor(fields)
    return Axes((x, y, z), volume_axis, np.diag([*(sign * factor for sign in signs), 1.0]) @ affine, source)


def _space(fields: Fields) -> tuple[tuple[int, int, int], int]:
    """Return the signs that make the world's axes RAS+, and how many axes it has."""
    space = fields.values.get("space")
    if space is None:
        return _ASSUMED_SIGNS, fields.integer("space dimension", lowest=1, default=_SPATIAL_AXES)
    name = space.lower()
    timed = name.endswith("-time") or name in {f"{short}t" for short in _SHORT_SPACES}
    name = name.removesuffix("-time")
    name = _SHORT_SPACES.get(name[:_SPATIAL_AXES] if timed and name[:-1] in _SHORT_SPACES else name, name)
    if name not in _RAS_SIGNS:
        fields.refuse("space", "that does not tell the patient's left from right; export it in LPS or RAS")
    return _RAS_SIGNS[name], _SPATIAL_AXES + int(timed)


def _directed(fields: Fields, count: int, space_dimension: int) -> tuple[int | None, NDArray[np.float64]]:
    """Return the axis without a place in space, and the affine that the directions make."""
    vectors = _vectors(fields, "space directions", space_dimension)
    if len(vectors) != count:
        fields.refuse("space directions", f"it must give one vector or none for each of {count} axes; export it again")
    columns = {axis: vector for axis, vector in enumerate(vectors) if vector is not None}
    if space_dimension == _SPATIAL_AXES + 1:
        columns = _without_time(fields, columns)
    if len(columns) != _SPATIAL_AXES:
        fields.refuse("space directions", "three axes must have a direction in space; export it again")
    affine = np.eye(4)
    affine[:3, :3] = np.array(list(columns.values()))[:, :_SPATIAL_AXES].T
    affine[:3, 3] = _origin(fields, space_dimension)
    rest = [axis for axis in range(count) if axis not in columns]
    return (rest[0] if rest else None), affine


def _without_time(fields: Fields, columns: dict[int, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
    spatial = {axis: vector for axis, vector in columns.items() if any(vector[:_SPATIAL_AXES])}
    if any(vector[_SPATIAL_AXES] for vector in spatial.values()):
        fields.refuse("space directions", "an axis in space must not move in time; export it again")
    return spatial


def _origin(fields: Fields, space_dimension: int) -> tuple[float, ...]:
    if "space origin" not in fields.values:
        return (0.0, 0.0, 0.0)
    vectors = _vectors(fields, "space origin", space_dimension)
    if len(vectors) != 1 or vectors[0] is None:
        fields.refuse("space origin", "it must be one vector; export it again")
    return vectors[0][:_SPATIAL_AXES]


def _spaced(fields: Fields, count: int, space_dimension: int) -> tuple[int | None, NDArray[np.float64]]:
    """Return the axis that counts volumes, and the affine that `spacings` and `axis mins` make."""
    kinds = fields.values.get("kinds", "").lower().split()
    listed = [axis for axis, kind in enumerate(kinds) if kind not in _SPACE_KINDS]
    volume_axis = None if count == _SPATIAL_AXES else (listed or [count - 1])[0]
    spatial = [axis for axis in range(count) if axis != volume_axis]
    spacing = _per_axis(fields, "spacings", count, spatial, 1.0)
    if min(spacing) <= 0:
        fields.refuse("spacings", "the distance between voxels must be above zero; export it again")
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = _origin(fields, space_dimension)
    if "axis mins" in fields.values and "space origin" not in fields.values:
        centers = fields.values.get("centerings", "").lower().split()
        half = [0.0 if centers[axis : axis + 1] == ["node"] else 0.5 for axis in spatial]
        affine[:3, 3] = np.array(_per_axis(fields, "axis mins", count, spatial, 0.0)) + np.array(half) * spacing
    return volume_axis, affine


def _per_axis(fields: Fields, key: str, count: int, spatial: list[int], default: float) -> list[float]:
    words = fields.values.get(key)
    if words is None:
        return [default] * len(spatial)
    parts = words.split()
    found = parse_numbers([parts[axis] for axis in spatial]) if len(parts) == count else None
    if found is None:
        fields.refuse(key, f"it must give a number for each of {count} axes; export it again")
    return list(found)


def _vectors(fields: Fields, key: str, length: int) -> list[tuple[float, ...] | None]:
    text, vectors, position = fields.values[key], list[tuple[float, ...] | None](), 0
    while position < len(text):
        match = _VECTOR.match(text, position)
        numbers = None if match is None or match[1] is None else parse_numbers(match[1].split(","))
        if match is None or (match[1] is not None and (numbers is None or len(numbers) != length)):
            fields.refuse(key, f"it must give vectors of {length} finite numbers; export it again")
        vectors.append(numbers)
        position = match.end()
    return vectors


def _check_kinds(fields: Fields, count: int, volume_axis: int | None) -> None:
    kinds = fields.values.get("kinds", "").lower().split()
    if not kinds:
        return
    if len(kinds) != count:
        fields.refuse("kinds", f"it must give a kind for each of {count} axes; export it again")
    for axis, kind in enumerate(kinds):
        allowed = _SPACE_KINDS | _LIST_KINDS if axis == volume_axis else _SPACE_KINDS
        if kind not in allowed:
            fields.refuse("kinds", f"axis {axis} is of no kind that a volume has; save plain numbers in three axes")


def _mm_factor(fields: Fields) -> float:
    units = set(_WORD_OR_QUOTED.findall(fields.values.get("space units", ""))[:_SPATIAL_AXES])
    if len(units) > 1:
        fields.refuse("space units", "all axes must have one unit; export it in mm")
    unit = next(iter(units), "mm")
    factor = _MM_PER_UNIT.get(unit.lower())
    if factor is None:
        logger.warning("nrrd_unit_unknown file=%s: millimetres are assumed", fields.path.name)
        return 1.0
    if factor != 1.0:
        logger.warning("nrrd_unit_converted file=%s factor=%g", fields.path.name, factor)
    return factor
