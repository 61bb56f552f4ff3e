"""A head that moves during a scan: lines of k-space measured in different poses."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from tds_data.phantoms.exact import Float, settled, settled_array

_MOST_TURN_DEGREES: Final = 3.0
_MOST_SHIFT_MM: Final = 3.5
_QUIET_SHARE: Final = 0.12  # of the lines, around the middle, that decide the contrast
_BITS: Final = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where the head is from one moment on.

    Attributes:
        start: Share of the lines that were measured before.
        turn_degrees: Rotation within the slice.
        shift_mm: Translation along x and y.
    """

    start: float
    turn_degrees: float
    shift_mm: tuple[float, float]


def draw_poses(rng: np.random.Generator, motion: float) -> tuple[Pose, ...]:
    """Return the poses of a restless head, none for one that keeps still.

    Args:
        rng: Source of randomness.
        motion: 0 for not at all to 1.
    """
    if not motion:
        return ()
    starts = np.sort(rng.uniform(0.03, 0.97, size=int(rng.integers(2, 5))))
    poses = []
    for start in starts:
        turn, x, y = motion * rng.uniform(-1, 1, size=3)
        shift = settled(_MOST_SHIFT_MM * float(x)), settled(_MOST_SHIFT_MM * float(y))
        poses.append(Pose(start=float(start), turn_degrees=settled(_MOST_TURN_DEGREES * float(turn)), shift_mm=shift))
    return tuple(poses)


def blurred_by_motion(image: Float, poses: tuple[Pose, ...], spacing_mm: tuple[float, float], level: float) -> Float:
    """Return what is reconstructed from lines along the second axis that were measured in different poses.

    Args:
        image: The head in its first pose, slices along the third axis.
        poses: As from `draw_poses`.
        spacing_mm: Edge of the voxels along x and y.
        level: Typical brightness, to round by.
    """
    lines = image.shape[1]
    frequency = np.abs(fft.fftfreq(lines))
    order = fft.fftshift(np.arange(lines))  # lines are measured from one edge of k-space to the other
    time = np.empty(lines)
    time[order] = np.arange(lines) / lines
    pose = np.zeros(lines, np.intp)
    for number, later in enumerate(poses, start=1):
        pose[time >= later.start] = number
    pose[frequency < _QUIET_SHARE / 2] = 0
    total: NDArray[np.complex128] = np.zeros(image.shape, np.complex128)
    for number in range(len(poses) + 1):
        chosen = pose == number
        if chosen.any():
            moved = image if number == 0 else _moved(image, poses[number - 1], spacing_mm)
            total[:, chosen] = fft.fft(moved.astype(np.float64), axis=1)[:, chosen]
    back = fft.ifft(total, axis=1, overwrite_x=True)
    magnitude = np.sqrt(back.real**2 + back.imag**2)
    return (settled_array(magnitude / level, _BITS) * level).astype(np.float32)


def _moved(image: Float, pose: Pose, spacing_mm: tuple[float, float]) -> Float:
    angle = np.deg2rad(pose.turn_degrees)
    cosine, sine = settled(float(np.cos(angle))), settled(float(np.sin(angle)))
    ratio = spacing_mm[1] / spacing_mm[0]
    matrix = np.array([[cosine, -sine * ratio], [sine / ratio, cosine]])
    middle = (np.array(image.shape[:2]) - 1) / 2
    offset = middle - (matrix * middle).sum(axis=1) + np.array(pose.shift_mm) / np.array(spacing_mm)
    moved = np.empty_like(image)
    for slice_number in range(image.shape[2]):
        moved[:, :, slice_number] = ndimage.affine_transform(
            image[:, :, slice_number], matrix, offset, order=1, mode="nearest", prefilter=False
        )
    return moved
