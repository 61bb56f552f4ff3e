"""The healthy brain under a phantom: the ICBM152 template that nilearn ships, bent into one individual's shape.

Template: Fonov et al. 2011, NeuroImage 54(1), 313-327.
"""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tds_data._phantom_fields import Float, Lattice, Point, SmoothField
from tds_data.errors import MissingDependency

_MARGIN_MM: Final = 4
_VENTRICLES_MM: Final = (0.0, -14.0, 17.0)
_BEND_SCALES_MM: Final = ((38.0, 2.6), (10.0, 0.8))
_PUSH_REACH: Final = 1.7
_SHARPNESS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """Tissue maps of the average brain, cropped to the brain and a margin.

    Attributes:
        white: White matter, uint8 of shape (x, y, z), 255 is all.
        grey: Grey matter, likewise.
        brain: Brain mask with a blurred border, uint8, 255 inside.
        box: The 1 mm lattice that they lie on.
    """

    white: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    brain: NDArray[np.uint8]
    box: Lattice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mass:
    """A growth that pushes the tissue around it outwards.

    Attributes:
        centre_mm: Where it lies.
        radius_mm: Radius of a ball of its size.
        strength: How much it widens what lies at its centre, 0 to 0.5.
    """

    centre_mm: Point
    radius_mm: float
    strength: float = 0.45


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """How one individual differs from the template.

    Attributes:
        template_from_ras: Matrix of shape (3, 3) about the centre of the box.
        bends: For each axis, fields and their amplitudes in mm that are added to a place.
        atrophy: Weight of cerebrospinal fluid against the template.
        ventricles: How far the ventricles are widened.
        stripping: Share of the brain mask, blurred, at which the skull stripping cuts.
    """

    template_from_ras: NDArray[np.float64]
    bends: tuple[tuple[tuple[SmoothField, float], ...], ...]
    atrophy: float
    ventricles: Mass
    stripping: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """Tissue fractions of one individual.

    Attributes:
        lattice: The grid of the arrays.
        brain: Boolean array of shape (x, y, z).
        white: White matter fraction, float32, 0 to 1.
        grey: Grey matter fraction, float32, 0 to 1.
        fluid: The rest: cerebrospinal fluid, 1 outside the brain.
    """

    lattice: Lattice
    brain: NDArray[np.bool_]
    white: Float
    grey: Float
    fluid: Float


def template_folder() -> Path:
    """Return the folder in which nilearn keeps its template, without importing nilearn.

    Raises:
        MissingDependency: If nilearn is not installed.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency("nilearn", "phantom")
    return Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"


@lru_cache(maxsize=1)
def load_template(folder: Path) -> Template:
    """Return the tissue maps in a folder; the last one read is kept, for many phantoms share it.

    Args:
        folder: As from `template_folder`.
    """
    images: dict[str, Any] = {
        name: nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz") for name in ("t1", "gm", "wm")
    }
    head = np.asanyarray(images["t1"].dataobj) > 0
    spans = [np.flatnonzero(head.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    start = [int(span[0]) - _MARGIN_MM for span in spans]
    stop = [int(span[-1]) + 1 + _MARGIN_MM for span in spans]
    white, grey = (_crop(np.asanyarray(images[name].dataobj), start, stop) for name in ("wm", "gm"))
    brain = ndimage.gaussian_filter(_crop(head * np.uint8(255), start, stop), 1.2)
    origin = images["t1"].affine[:3, 3] - 0.5
    low, high = origin + start, origin + stop
    box = Lattice(low_mm=_point(low), high_mm=_point(high), spacing_mm=1.0)
    return Template(white=white, grey=grey, brain=brain, box=box)


def draw_shape(rng: np.random.Generator, box: Lattice) -> Shape:
    """Return a random individual: size, pose, bends and atrophy.

    Args:
        rng: Source of randomness.
        box: Where the template lies.
    """
    scale = rng.uniform(0.85, 0.93) * rng.uniform(0.98, 1.02, size=3)
    turn = Rotation.from_rotvec(rng.normal(0.0, np.deg2rad(2.5), size=3)).as_matrix()
    bends = tuple(
        tuple((SmoothField.draw(rng, box, scale_mm), size_mm) for scale_mm, size_mm in _BEND_SCALES_MM)
        for _ in range(3)
    )
    return Shape(
        template_from_ras=turn / scale[None],
        bends=bends,
        atrophy=float(rng.uniform(1.2, 2.2)),
        ventricles=Mass(centre_mm=_VENTRICLES_MM, radius_mm=14.0, strength=float(rng.uniform(0.0, 0.42))),
        stripping=float(rng.uniform(0.5, 0.8)),
    )


def build_anatomy(template: Template, shape: Shape, lattice: Lattice, masses: tuple[Mass, ...] = ()) -> Anatomy:
    """Return an individual's tissues on a lattice.

    Args:
        template: The average brain.
        shape: How the individual differs from it.
        lattice: Where to evaluate.
        masses: Growths that push the tissue aside.
    """
    places = _pull(template.box, shape, lattice, (shape.ventricles, *masses))
    brain = _sample(template.brain, places) > shape.stripping
    inside = tuple(axis[brain] for axis in places)
    white, grey = _sample(template.white, inside), _sample(template.grey, inside)
    fluid = np.clip(1 - white - grey, 0, 1)
    # Averaging many heads blurred the template; raising the odds sharpens it back into one head.
    powers = [white**_SHARPNESS, grey**_SHARPNESS, (shape.atrophy * fluid) ** _SHARPNESS]
    total = powers[0] + powers[1] + powers[2] + np.float32(1e-6)
    maps = [np.zeros(lattice.shape, np.float32) for _ in range(2)]
    for target, power in zip(maps, powers, strict=False):
        target[brain] = power / total
    return Anatomy(lattice=lattice, brain=brain, white=maps[0], grey=maps[1], fluid=1 - maps[0] - maps[1])


def _pull(box: Lattice, shape: Shape, lattice: Lattice, masses: tuple[Mass, ...]) -> tuple[Float, Float, Float]:
    """Return, for each voxel of the lattice, the template's voxel indices that it shows."""
    centre = (np.add(box.low_mm, box.high_mm) / 2).astype(np.float32)
    axes = lattice.axes_mm()
    offsets = []
    for axis, bends in enumerate(shape.bends):
        offset = np.float32(bends[0][1]) * bends[0][0].on(lattice)
        for field, size_mm in bends[1:]:
            offset += np.float32(size_mm) * field.on(lattice)
        offset += axes[axis] - centre[axis]
        offsets.append(offset)
    for mass in masses:
        away = [axis - np.float32(c) for axis, c in zip(axes, mass.centre_mm, strict=True)]
        squared = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
        pull = np.float32(-mass.strength) * np.exp(squared / np.float32(-((_PUSH_REACH * mass.radius_mm) ** 2)))
        for offset, direction in zip(offsets, away, strict=True):
            np.add(offset, direction * pull, out=offset)
    to_index = centre - np.array(box.low_mm, np.float32) - np.float32(0.5)
    x, y, z = (
        row[0] * offsets[0] + row[1] * offsets[1] + row[2] * offsets[2] + first
        for row, first in zip(shape.template_from_ras.astype(np.float32), to_index, strict=True)
    )
    return x, y, z


def _sample(values: NDArray[np.uint8], places: tuple[Float, ...]) -> Float:
    sampled: Float = ndimage.map_coordinates(values, np.stack(places), np.float32, order=1, prefilter=False)
    sampled /= np.float32(255)
    return sampled


def _crop(values: NDArray[np.uint8], start: list[int], stop: list[int]) -> NDArray[np.uint8]:
    margins = tuple(slice(a + _MARGIN_MM, b + _MARGIN_MM) for a, b in zip(start, stop, strict=True))
    return np.pad(values, _MARGIN_MM)[margins].copy()


def _point(values: NDArray[np.float64]) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
