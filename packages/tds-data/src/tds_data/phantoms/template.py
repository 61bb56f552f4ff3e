"""The average brain that every phantom is made from: the ICBM152 template that nilearn ships as files.

Template: Fonov et al. 2011, NeuroImage 54(1), 313-327. It ends at the brain's surface; distances to that surface are
all that the layers around it (`tds_data.phantoms.head`) need.
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

from tds_data.errors import MissingDependency
from tds_data.phantoms.exact import Float
from tds_data.phantoms.landmarks import ARTERIES, PLEXUS, VEINS, paint_nuclei, paint_tubes
from tds_data.phantoms.lattice import Lattice, Point

HEAD_BOX: Final = Lattice(low_mm=(-96.5, -132.5, -134.5), high_mm=(95.5, 111.5, 105.5), spacing_mm=2.0)
"""The box of the template's frame that holds the head, at the resolution of distances."""

_MARGIN_MM: Final = 4
_WHITE_T1: Final = 224.0  # what the template's T1 shows in pure tissue
_GREY_T1: Final = 163.0
_PURE: Final = 230
_SULCI_MM: Final = 3.0
_HULL_MM: Final = 12.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Template:
    """Maps of the average brain in its own frame.

    Attributes:
        box: The 1 mm lattice of the maps.
        white: White matter, uint8 of shape (x, y, z), 255 is all.
        grey: Grey matter, likewise.
        brain: 255 where there is brain, sulci between its folds included, uint8.
        myelin: How much whiter the T1 is than `white` says, int8, 100 is the contrast between white and grey matter.
        iron: Iron of the deep nuclei, uint8, 255 is the pallidum's.
        veins: Large veins and sinuses, uint8, 255 is all.
        arteries: Large arteries, likewise.
        plexus: Choroid plexus, likewise.
        surface_mm: Distance from the brain's surface on `HEAD_BOX`, negative inside.
        hull_mm: Distance from a smooth cover of the brain on `HEAD_BOX`, negative inside.
    """

    box: Lattice
    white: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    brain: NDArray[np.uint8]
    myelin: NDArray[np.int8]
    iron: NDArray[np.uint8]
    veins: NDArray[np.uint8]
    arteries: NDArray[np.uint8]
    plexus: NDArray[np.uint8]
    surface_mm: Float
    hull_mm: Float


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
    """Return the maps in a folder; the last one read is kept, for many phantoms share it.

    Args:
        folder: As from `template_folder`.
    """
    images: dict[str, Any] = {
        name: nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz") for name in ("t1", "gm", "wm")
    }
    t1, grey, white = (np.asanyarray(image.dataobj) for image in images.values())
    brain = t1 > 0
    spans = [np.flatnonzero(brain.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    start = np.array([int(span[0]) - _MARGIN_MM for span in spans])
    stop = np.array([int(span[-1]) + 1 + _MARGIN_MM for span in spans])
    origin = images["t1"].affine[:3, 3] - 0.5
    box = Lattice(low_mm=_point(origin + start), high_mm=_point(origin + stop), spacing_mm=1.0)
    t1, grey, white, brain = (_crop(values, start, stop) for values in (t1, grey, white, brain))
    return Template(
        box=box,
        white=white,
        grey=grey,
        brain=brain * np.uint8(255),
        myelin=_myelin(t1, grey, white),
        iron=paint_nuclei(box),
        veins=paint_tubes(VEINS, box),
        arteries=paint_tubes(ARTERIES, box),
        plexus=paint_tubes(PLEXUS, box),
        surface_mm=_distance(brain, box, _SULCI_MM),
        hull_mm=_distance(brain, box, _HULL_MM),
    )


def _myelin(t1: NDArray[np.uint8], grey: NDArray[np.uint8], white: NDArray[np.uint8]) -> NDArray[np.int8]:
    solid = grey.astype(np.int16) + white > _PURE
    share = (t1.astype(np.float64) - _GREY_T1) / (_WHITE_T1 - _GREY_T1)
    excess = np.where(solid, share - white / 255.0, 0.0)
    myelin: NDArray[np.int8] = np.clip(np.rint(100 * excess), -60, 60).astype(np.int8)
    return myelin


def _distance(brain: NDArray[np.bool_], box: Lattice, closing_mm: float) -> Float:
    """Return the distance from the brain after gaps up to twice as wide as `closing_mm` were closed."""
    inside = np.zeros(HEAD_BOX.shape, np.bool_)
    first, coarse = _every_other(brain, box)
    places = tuple(slice(f, f + n) for f, n in zip(first, coarse.shape, strict=True))
    inside[places] = coarse
    far = ndimage.distance_transform_edt(~inside, sampling=HEAD_BOX.spacing_mm) > closing_mm
    closed = ndimage.distance_transform_edt(~far, sampling=HEAD_BOX.spacing_mm) > closing_mm
    outwards = ndimage.distance_transform_edt(~closed, sampling=HEAD_BOX.spacing_mm)
    inwards = ndimage.distance_transform_edt(closed, sampling=HEAD_BOX.spacing_mm)
    half = HEAD_BOX.spacing_mm / 2
    distance = np.where(closed, half - inwards, outwards - half)
    return np.asarray(distance, np.float32)


def _every_other(brain: NDArray[np.bool_], box: Lattice) -> tuple[list[int], NDArray[np.bool_]]:
    """Return the brain's first voxel on `HEAD_BOX`, and where at least half of its voxels there are brain."""
    start = [round(low - head) for low, head in zip(box.low_mm, HEAD_BOX.low_mm, strict=True)]
    padded = np.pad(brain, [(s % 2, (s + n) % 2) for s, n in zip(start, brain.shape, strict=True)])
    x, y, z = (n // 2 for n in padded.shape)
    filled = padded.reshape(x, 2, y, 2, z, 2).sum(axis=(1, 3, 5))
    return [s // 2 for s in start], filled >= 4  # noqa: PLR2004 - half of eight


def _crop(values: NDArray[np.generic], start: NDArray[np.int_], stop: NDArray[np.int_]) -> NDArray[Any]:
    margins = tuple(slice(a + _MARGIN_MM, b + _MARGIN_MM) for a, b in zip(start, stop, strict=True))
    return np.pad(values, _MARGIN_MM)[margins].copy()


def _point(values: NDArray[np.float64]) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
