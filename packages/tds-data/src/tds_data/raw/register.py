"""Bringing one image onto another by mutual information (Mattes et al. 2003, IEEE TMI 22(1), 120-128), with SimpleITK.

From coarse to fine voxels; at the coarsest level from several starts: the places that the headers give, equal centres
of the fields of view and equal centres of mass, each also turned a little. Everything is drawn from fixed seeds and
runs on one thread, so that the same images give the same matrix. A second search at the finest level, from elsewhere
and with other samples, tells how well the result is determined.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tds_data.errors import RegistrationFailed
from tds_data.geometry import Box, bounding_box
from tds_data.preprocess import foreground
from tds_data.raw._itk import single_thread
from tds_data.raw._search import Search, make_levels
from tds_data.raw.resampling import Affine
from tds_data.volume import Volume

_TURN_DEG: Final = 15.0
_TRIED: Final = 3
_PUSH_MM: Final = 2.0
_PUSH_DEG: Final = 2.0
_TIE: Final = 5e-3  # share of the mutual information


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterConfig:
    """How images are brought together, and when the result is refused.

    Attributes:
        levels_mm: Voxel edges to work at, from coarse to fine; an image's own voxels where they are larger.
        samples: Points at which the images are compared at each level.
        bins: Bins of the joint histogram along each image.
        seed: Where the points are drawn from, 1 or more.
        max_shift_mm: Furthest that the head's middle may move from where the search began.
        max_turn_deg: Largest turn against the headers.
        max_scale: Largest stretch along any direction, and its inverse the smallest; affine registration only.
        max_spread_mm: Largest distance between the ends of the two searches.

    Raises:
        ValueError: If there is no level, or a number is not above 0.
    """

    levels_mm: tuple[float, ...] = (6.0, 3.0, 2.0)
    samples: int = 40_000
    bins: int = 32
    seed: int = 1
    max_shift_mm: float = 60.0
    max_turn_deg: float = 45.0
    max_scale: float = 1.5
    max_spread_mm: float = 2.0

    def __post_init__(self) -> None:
        limits = (self.max_shift_mm, self.max_turn_deg, self.max_scale, self.max_spread_mm)
        numbers = (*self.levels_mm, self.samples, self.bins, self.seed, *limits)
        if not self.levels_mm or not all(number > 0 for number in numbers):
            message = f"registration needs at least one level, and numbers above 0; {self} was given"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registration:
    """How one image lies on another.

    Attributes:
        fixed_from_moving: Matrix of shape (4, 4) from the moving image's RAS+ millimetres to the fixed one's.
        information_before: Mutual information as the headers have it, in nats; 0 where the images do not overlap.
        information: Mutual information now.
        shift_mm: How far the middle of the head moved against the headers.
        turn_deg: By how much it turned against the headers.
        spread_mm: How far a second search ended from the first, at most, on the surface of the head: an estimate of the
            accuracy that sees noise and false optima, not what both searches have in common.
    """

    fixed_from_moving: Affine
    information_before: float
    information: float
    shift_mm: float
    turn_deg: float
    spread_mm: float


def register_rigid(moving: Volume, fixed: Volume, config: RegisterConfig | None = None) -> Registration:
    """Return the turn and shift that bring one image onto another of the same head, whatever their contrasts.

    Args:
        moving: An image on any grid.
        fixed: The image that stays.
        config: How; the defaults if `None`.

    Raises:
        RegistrationFailed: If the images do not overlap, or the search ends worse than it began, moves or turns further
            than the limits allow, or ends elsewhere when it is repeated.
        VoxelError: If an image holds NaN or infinities or is constant.
        GeometryError: If the axes of an image are not at right angles.
        MissingDependency: If SimpleITK is not installed.
    """
    return _register(moving, fixed, config or RegisterConfig(), rigid=True)


def register_affine(moving: Volume, fixed: Volume, config: RegisterConfig | None = None) -> Registration:
    """Return the affine map that brings one image onto another, such as a stripped brain onto the atlas.

    Args:
        moving: An image on any grid.
        fixed: The image that stays.
        config: How; the defaults if `None`.

    Raises:
        RegistrationFailed: As `register_rigid`, and if the map stretches beyond the limits.
        VoxelError: If an image holds NaN or infinities or is constant.
        GeometryError: If the axes of an image are not at right angles.
        MissingDependency: If SimpleITK is not installed.
    """
    return _register(moving, fixed, config or RegisterConfig(), rigid=False)


def displacement_mm(first: Affine, second: Affine, points_mm: NDArray[np.float64]) -> float:
    """Return how far apart two matrices bring any of some points, at most, in millimetres.

    Args:
        first: Matrix of shape (4, 4).
        second: Another one.
        points_mm: Array of shape (n, 3).
    """
    difference = (first - second)[:3]
    moved: NDArray[np.float64] = points_mm @ difference[:, :3].T + difference[:, 3]
    return float(np.linalg.norm(moved, axis=1).max())


def head_points(volume: Volume) -> NDArray[np.float64]:
    """Return the middles of the faces of the box around an image's content, RAS+ millimetres, shape (6, 3).

    Args:
        volume: The image.

    Raises:
        VoxelError: If it holds NaN or infinities or is constant.
    """
    box = bounding_box(foreground(volume.voxels)) or Box(start=(0, 0, 0), stop=volume.shape)
    low, high = np.array(box.start, float), np.array(box.stop, float) - 1
    points = np.tile((low + high) / 2, (6, 1))
    for axis in range(3):
        points[2 * axis : 2 * axis + 2, axis] = low[axis], high[axis]
    return _placed(volume, points)


def _register(moving: Volume, fixed: Volume, config: RegisterConfig, *, rigid: bool) -> Registration:
    for name, volume in (("the moving image", moving), ("the fixed image", fixed)):
        foreground(volume.voxels, name=name)
    points = head_points(fixed)
    centre = points.mean(axis=0)
    with single_thread() as sitk:
        levels = make_levels(fixed, moving, config.levels_mm)
        search = Search(sitk=sitk, levels=levels, centre_mm=centre, samples=config.samples, bins=config.bins)
        start, end = _descend(search, _starts(moving, fixed, centre), config, rigid=rigid)
        again = search.run(_pushed(end, centre), level=-1, rigid=rigid, seed=config.seed + 1)
        header, begun, ended = (search.information(matrix, level=-1) for matrix in (np.eye(4), start, end))
    if ended < begun * (1 - _TIE):
        message = (
            f"the search ended with images that fit worse than where it began (mutual information {ended:.3f} after "
            f"{begun:.3f}); check that both show one head"
        )
        raise RegistrationFailed(message)
    if ended < begun:
        end = start
    turned = np.linalg.svd(end[:3, :3])
    result = Registration(
        fixed_from_moving=np.linalg.inv(end).astype(np.float64),
        information_before=header,
        information=max(begun, ended),
        shift_mm=displacement_mm(end, np.eye(4), centre[None]),
        turn_deg=float(np.rad2deg(Rotation.from_matrix(turned.U @ turned.Vh).magnitude())),
        spread_mm=displacement_mm(end, again, points),
    )
    _check_limits(result, displacement_mm(end, start, centre[None]), config)
    return result


def _descend(search: Search, starts: list[Affine], config: RegisterConfig, *, rigid: bool) -> tuple[Affine, Affine]:
    """Return the start that led to the best end, and that end."""
    ranked = sorted(starts, key=lambda matrix: -search.information(matrix, level=0))[:_TRIED]
    ends = [(start, search.run(start, level=0, rigid=True, seed=config.seed)) for start in ranked]
    start, end = max(ends, key=lambda pair: search.information(pair[1], level=0))
    for level in range(1, len(search.levels)):
        end = search.run(end, level=level, rigid=True, seed=config.seed)
    if not rigid:
        for level in range(len(search.levels)):
            end = search.run(end, level=level, rigid=False, seed=config.seed)
    return start, end


def _starts(moving: Volume, fixed: Volume, centre_mm: NDArray[np.float64]) -> list[Affine]:
    shifts = [
        np.zeros(3),
        _field_centre(moving) - _field_centre(fixed),
        _mass_centre(moving) - _mass_centre(fixed),
    ]
    turns = [np.zeros(3), *(sign * np.deg2rad(_TURN_DEG) * axis for axis in np.eye(3) for sign in (1, -1))]
    return [_moved(np.eye(4), centre_mm, turn, shift) for shift in shifts for turn in turns]


def _pushed(matrix: Affine, centre_mm: NDArray[np.float64]) -> Affine:
    direction = np.ones(3) / np.sqrt(3)
    return _moved(matrix, centre_mm, np.deg2rad(_PUSH_DEG) * direction, _PUSH_MM * direction)


def _moved(
    matrix: Affine, centre_mm: NDArray[np.float64], turn: NDArray[np.float64], shift: NDArray[np.float64]
) -> Affine:
    """Return a matrix that turns about a point (rotation vector, radians) and shifts before it does what it did."""
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    move[:3, 3] = centre_mm - move[:3, :3] @ centre_mm + shift
    return matrix @ move


def _field_centre(volume: Volume) -> NDArray[np.float64]:
    return _placed(volume, (np.array(volume.shape)[None] - 1) / 2).ravel()


def _mass_centre(volume: Volume) -> NDArray[np.float64]:
    mask = foreground(volume.voxels)
    weights = np.where(mask, volume.voxels.astype(np.float32), 0)
    positive = np.clip(weights, 0, np.percentile(weights[mask][::7], 99))
    centre = ndimage.center_of_mass(positive if positive.any() else mask)
    return _placed(volume, np.array(centre)[None]).ravel()


def _placed(volume: Volume, voxels: NDArray[np.float64]) -> NDArray[np.float64]:
    placed: NDArray[np.float64] = voxels @ volume.ras_from_voxel[:3, :3].T + volume.ras_from_voxel[:3, 3]
    return placed


def _check_limits(result: Registration, moved_mm: float, config: RegisterConfig) -> None:
    stretches = np.linalg.svd(result.fixed_from_moving[:3, :3], compute_uv=False)
    complaints = []
    if moved_mm > config.max_shift_mm:
        complaints.append(f"moves the head by {moved_mm:.0f} mm, more than {config.max_shift_mm:g}")
    if result.turn_deg > config.max_turn_deg:
        complaints.append(f"turns the head by {result.turn_deg:.0f} degrees, more than {config.max_turn_deg:g}")
    if max(stretches[0], 1 / stretches[-1]) > config.max_scale:
        complaints.append(f"stretches the head by factors of {stretches[-1]:.2f} to {stretches[0]:.2f}")
    if result.spread_mm > config.max_spread_mm:
        complaints.append(f"ends {result.spread_mm:.1f} mm elsewhere when it is repeated")
    if complaints:
        message = f"the search {' and '.join(complaints)}; check that both images show one head, as their headers say"
        raise RegistrationFailed(message)
