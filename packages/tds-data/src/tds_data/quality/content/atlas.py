"""Where a brain lies in the picture: an affine fit of a case's foreground to the average brain.

The average brain is a symmetric low-resolution reduction of the ICBM 2009a nonlinear symmetric template (Fonov et al.
2011, NeuroImage 54(1), 313-327); its notice is in NOTICE beside the file, `tools/quality/make_atlas.py` makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.quality.content.view import ContentView, Float
from tds_data.vocabulary import Modality

ATLAS_SPACING_MM: Final = 4.0
"""Edge of the atlas's voxels."""
_FIT_STRIDE: Final = 2
_FIT_BLUR_MM: Final = 5.0
_STEPS: Final = 14
_UNIT_MM: Final = 80.0  # keeps the fit's parameters of one size
_RIDGE: Final = 1e-4
_MIN_POINTS: Final = 500
_LARGEST_STEP: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Atlas:
    """The average brain on a lattice that is symmetric about its middle x.

    Attributes:
        brain: Float32, the part of each voxel that is brain, 0 to 1, shape (x, y, z).
        white: White matter, likewise.
        grey: Grey matter, likewise.
        ras_from_atlas: Affine of shape (4, 4) to the template's millimetres; x is 0 at the middle plane.
    """

    brain: Float
    white: Float
    grey: Float
    ras_from_atlas: NDArray[np.float64]

    @property
    def fluid(self) -> Float:
        """Cerebrospinal fluid: what of the brain is neither white nor grey."""
        return np.asarray(np.clip(self.brain - self.white - self.grey, 0, 1), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrainFit:
    """How the average brain is laid over a case.

    Attributes:
        case_from_atlas: Affine of shape (4, 4) from the template's millimetres to the case's RAS+ millimetres.
        agreement: Correlation of the case's foreground with the average brain, -1 to 1.
        scales: Size of the case against the template along its three principal directions, smallest first.
        tilt_deg: Angle by which the template is turned.
        covered: Share of the average brain that lies within the case's field of view, 0 to 1.
    """

    case_from_atlas: NDArray[np.float64]
    agreement: float
    scales: tuple[float, float, float]
    tilt_deg: float
    covered: float


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Return the average brain that this package ships."""
    with files("tds_data.quality.content").joinpath("atlas.npz").open("rb") as file, np.load(file) as stored:
        half = stored["tissues"].astype(np.float32) / 255  # brain, white, grey at x >= 0
        affine = stored["ras_from_atlas"].astype(np.float64)
    brain, white, grey = np.concatenate([half[:, :0:-1], half], axis=1)
    for tissue in (brain, white, grey):
        tissue.flags.writeable = False
    return Atlas(brain=brain, white=white, grey=grey, ras_from_atlas=affine)


@lru_cache(maxsize=2)
def places_mm(stride: int = 1) -> NDArray[np.float64]:
    """Return the template's millimetres of each voxel of the atlas.

    Args:
        stride: Take every so many voxels along each axis.

    Returns:
        Read-only array of shape (x, y, z, 3).
    """
    atlas = load_atlas()
    axes = [np.arange(0, n, stride) for n in atlas.brain.shape]
    indices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    places: NDArray[np.float64] = indices @ atlas.ras_from_atlas[:3, :3].T + atlas.ras_from_atlas[:3, 3]
    places.flags.writeable = False
    return places


def fit_brain(view: ContentView, share: Float) -> BrainFit | None:
    """Return how the average brain lies over a foreground.

    Args:
        view: Gives the place of the small voxels.
        share: Float32 of the small picture's shape: the part of each voxel that is foreground.

    Returns:
        The fit, or `None` if there is too little foreground to fit.
    """
    atlas = load_atlas()
    sigma = _FIT_BLUR_MM / ATLAS_SPACING_MM
    target = ndimage.gaussian_filter(atlas.brain, sigma)[::_FIT_STRIDE, ::_FIT_STRIDE, ::_FIT_STRIDE]
    places = places_mm(_FIT_STRIDE)
    image = ndimage.gaussian_filter(share, _FIT_BLUR_MM / 3.0)
    start = _from_moments(share, view.ras_from_low, target, places)
    if start is None:
        return None
    return _refine(start, image, view.ras_from_low, target, places)


def sample(image: Float, ras_from_image: NDArray[np.float64], places_mm: NDArray[np.float64]) -> Float:
    """Return an image's values at places, linearly interpolated, 0 outside.

    Args:
        image: Float32 of shape (x, y, z).
        ras_from_image: Its affine.
        places_mm: RAS+ millimetres, shape (..., 3).

    Returns:
        Float32 of the places' shape without its last axis.
    """
    image_from_ras = np.linalg.inv(ras_from_image)
    indices = places_mm.reshape(-1, 3) @ image_from_ras[:3, :3].T + image_from_ras[:3, 3]
    values: Float = ndimage.map_coordinates(image, indices.T, order=1, output=np.float32)
    return values.reshape(places_mm.shape[:-1])


def _from_moments(
    share: Float, ras_from_low: NDArray[np.float64], target: Float, places: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the affine that brings centre and spread along each axis together."""
    inside = np.argwhere(share > 0.5)  # noqa: PLR2004  # more foreground than background
    if len(inside) < _MIN_POINTS:
        return None
    here = inside @ ras_from_low[:3, :3].T + ras_from_low[:3, 3]
    there = places[target > 0.5]  # noqa: PLR2004  # likewise
    scale = here.std(axis=0) / there.std(axis=0)
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = here.mean(axis=0) - scale * there.mean(axis=0)
    return affine


def _refine(
    affine: NDArray[np.float64],
    image: Float,
    ras_from_low: NDArray[np.float64],
    target: Float,
    places: NDArray[np.float64],
) -> BrainFit:
    """Return the least-squares fit: Gauss-Newton on twelve parameters, steps taken on the template's side."""
    points = places.reshape(-1, 3)
    basis = np.concatenate([points / _UNIT_MM, np.ones((len(points), 1))], axis=1)
    step_mm = ATLAS_SPACING_MM * _FIT_STRIDE
    slopes = [np.asarray(np.gradient(target, step_mm, axis=axis)).reshape(-1, 1) for axis in range(3)]
    jacobian = np.concatenate([slope * basis for slope in slopes], axis=1)
    everywhere = np.ones(image.shape, np.float32)
    wanted = target.ravel()
    for step in range(_STEPS + 1):
        places_here = points @ affine[:3, :3].T + affine[:3, 3]
        seen = sample(image, ras_from_low, places_here)
        if step == _STEPS:
            break
        # What lies outside the box of the picture is unknown, not background.
        known = sample(everywhere, ras_from_low, places_here)
        weighted = jacobian * known[:, None]
        normal = weighted.T @ jacobian
        if np.trace(normal) <= 0:  # all of the template lies outside: it ran away
            break
        normal += _RIDGE * np.trace(normal) / 12 * np.eye(12)
        change = np.asarray(np.linalg.solve(normal, weighted.T @ (seen - wanted))).reshape(3, 4)
        update = np.eye(4)
        update[:3, :3] += np.clip(change[:, :3] / _UNIT_MM, -_LARGEST_STEP, _LARGEST_STEP)
        update[:3, 3] = change[:, 3]
        affine = affine @ np.linalg.inv(update)
    return _describe(affine, seen, known, wanted)


def _describe(affine: NDArray[np.float64], seen: Float, known: Float, wanted: Float) -> BrainFit:
    inside = known > 0.5  # noqa: PLR2004  # more within the field of view than outside
    u, scales, v = np.linalg.svd(affine[:3, :3])
    turn = np.clip((np.trace(u @ v) - 1) / 2, -1, 1)
    both = np.stack([seen[inside], wanted[inside]])
    agreement = float(np.asarray(np.corrcoef(both))[0, 1]) if inside.any() and (both.std(axis=1) > 0).all() else 0.0
    return BrainFit(
        case_from_atlas=affine,
        agreement=agreement,
        scales=(float(scales[2]), float(scales[1]), float(scales[0])),
        tilt_deg=float(np.degrees(np.arccos(turn))),
        covered=float((wanted * inside).sum() / wanted.sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A case on the atlas's lattice.

    Attributes:
        fit: How it came there.
        images: Float32 of the atlas's shape for each sequence, scaled as in the view.
        share: Float32, the part of each voxel that is foreground.
        lesion: Float32, the part of each voxel that the reference mask marks, if there is one.
    """

    fit: BrainFit
    images: Mapping[Modality, Float]
    share: Float
    lesion: Float | None


def place(view: ContentView, fit: BrainFit) -> Placed:
    """Return a case on the atlas's lattice.

    Args:
        view: The case; never without a sequence.
        fit: How the average brain lies over the foreground of its first sequence.
    """
    share = next(iter(view.sequences.values())).share
    points = places_mm() @ fit.case_from_atlas[:3, :3].T + fit.case_from_atlas[:3, 3]
    lesion = None if view.reference is None else sample(view.shrink(view.reference != 0), view.ras_from_low, points)
    return Placed(
        fit=fit,
        images=MappingProxyType({m: sample(s.low, view.ras_from_low, points) for m, s in view.sequences.items()}),
        share=sample(share, view.ras_from_low, points),
        lesion=lesion,
    )
