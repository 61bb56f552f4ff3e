"""What a scanner does to a head's brightness: coil, sampling in its own slices, noise and motion.

Noise is Rician (Gudbjartsson and Patz 1995, Magn Reson Med 34, 910-914). Slices are measured on their own grid and
brought back to the phantom's by linear interpolation, as data sets of registered sequences are made.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.phantoms.exact import (
    Float,
    Taps,
    along_axis,
    exp,
    filtered,
    gaussian_kernel,
    normals,
    settled,
    settled_array,
)
from tds_data.phantoms.lattice import Lattice, SmoothField, cubic_taps, linear_taps
from tds_data.phantoms.motion import Pose, blurred_by_motion, draw_poses
from tds_data.phantoms.sequences import Protocol

_SLICE_AXIS: Final = 2  # slices are axial
_COARSE_MM: Final = 1.6
_BIAS_MM: Final = 55.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """How one sequence was spoilt.

    Attributes:
        noise: Standard deviation of the noise relative to the mean brightness of the brain.
        bias: Standard deviation of the logarithm of the coil's sensitivity.
        blur_mm: Standard deviation of the point spread within slices.
        ringing: How much sharper than its sampling the picture is: the height of the side lobes.
        poses: Where the head was, if it moved.
        offset: Place of the first slice and of the first pixels, in parts of their distance.
    """

    noise: float
    bias: float
    blur_mm: float
    ringing: float
    poses: tuple[Pose, ...]
    offset: tuple[float, float, float]


def draw_scan(rng: np.random.Generator, *, noise: float, bias: float, motion: float) -> Scan:
    """Return a scanner's faults.

    Args:
        rng: Source of randomness.
        noise: Typical noise.
        bias: Typical bias.
        motion: Motion, 0 to 1.
    """
    louder, stronger = np.exp(0.35 * np.clip(rng.normal(size=2), -2, 2))
    x, y, z = rng.uniform(0, 1, size=3)
    return Scan(
        noise=settled(noise * float(louder)),
        bias=settled(bias * float(stronger)),
        blur_mm=float(rng.uniform(0.1, 0.35)),
        ringing=float(rng.uniform(0.02, 0.1)),
        poses=draw_poses(rng, motion),
        offset=(float(x), float(y), float(z)),
    )


def acquire(
    rng: np.random.Generator, image: Float, lattice: Lattice, protocol: Protocol, scan: Scan, mean: float
) -> Float:
    """Return a picture as the scanner gives it, on the grid of the lattice.

    Args:
        rng: Source of randomness.
        image: Brightness of the head.
        lattice: Grid of the image.
        protocol: How it is sampled.
        scan: How it is spoilt.
        mean: Mean brightness of the brain, to which the noise is relative.
    """
    coil = SmoothField.draw(rng, lattice, _BIAS_MM).on(lattice)
    image = image * exp(np.float32(scan.bias) * coil)
    image = _point_spread(image, lattice, protocol, scan)
    for axis in range(3):
        taps = _measuring(lattice, protocol, scan, axis)
        if taps is not None:
            image = along_axis(image, axis, taps)
    if scan.poses:
        steps = [(_native_mm(lattice, protocol, scan, axis) or (0.0, lattice.spacing_mm))[1] for axis in range(2)]
        image = blurred_by_motion(image, scan.poses, (steps[0], steps[1]), mean)
    sigma = np.float32(scan.noise * mean)
    image = image + sigma * normals(rng, image.shape)
    other = sigma * normals(rng, image.shape)
    image = np.sqrt(image * image + other * other)
    for axis in range(3):
        places = _native_mm(lattice, protocol, scan, axis)
        if places is not None:
            first, step, count = places
            index = (lattice.axis_mm(axis) - first) / step
            image = along_axis(image, axis, linear_taps(index, count))
    return image


def _point_spread(image: Float, lattice: Lattice, protocol: Protocol, scan: Scan) -> Float:
    for axis in range(3):
        if protocol.slice_mm and axis == _SLICE_AXIS:
            continue
        sigma = scan.blur_mm / lattice.spacing_mm
        if sigma > 0.15:  # noqa: PLR2004 - less is no blur
            image = filtered(image, gaussian_kernel(sigma), axis)
        if scan.ringing and lattice.spacing_mm < _COARSE_MM:
            lobe = scan.ringing
            image = filtered(image, settled_array(np.array([1 + 0.5 * lobe, lobe * 0.75, -lobe])), axis)
    return image


def _native_mm(lattice: Lattice, protocol: Protocol, scan: Scan, axis: int) -> tuple[float, float, int] | None:
    """Return centre of the first sample, distance and number of samples along an axis; `None` for the lattice's own."""
    across = protocol.slice_mm > 0 and axis == _SLICE_AXIS
    step = protocol.slice_mm + protocol.gap_mm if across else protocol.pixel_mm
    if (across and step < lattice.spacing_mm) or (not across and lattice.spacing_mm > _COARSE_MM):
        return None
    length = lattice.spacing_mm * lattice.shape[axis]
    first = lattice.low_mm[axis] + step * (scan.offset[axis] - 0.5)
    return first, step, int(length / step) + 2


def _measuring(lattice: Lattice, protocol: Protocol, scan: Scan, axis: int) -> Taps | None:
    native = _native_mm(lattice, protocol, scan, axis)
    if native is None:
        return None
    first, step, count = native
    centres: NDArray[np.float64] = first + step * np.arange(count, dtype=np.float64)
    centres = (centres - lattice.low_mm[axis]) / lattice.spacing_mm - 0.5
    if protocol.slice_mm > 0 and axis == _SLICE_AXIS:
        return _slice_taps(centres, protocol.slice_mm / lattice.spacing_mm, lattice.shape[axis])
    return cubic_taps(centres, lattice.shape[axis])


def _slice_taps(centres: NDArray[np.float64], thickness: float, size: int) -> Taps:
    """Return the voxels that each slice averages: its profile is even with soft edges."""
    reach = int(np.ceil(thickness / 2 + 1))
    middle = np.rint(centres).astype(np.intp)
    weights = []
    for step in range(-reach, reach + 1):
        apart = np.abs(middle + step - centres)
        weights.append(np.clip(thickness / 2 + 0.5 - apart, 0, 1))
    stacked = np.stack(weights)
    total = np.zeros(centres.size)
    for weight in weights:
        total += weight
    stacked = settled_array(stacked / total).astype(np.float32)
    return tuple((np.clip(middle + step, 0, size - 1), stacked[step + reach]) for step in range(-reach, reach + 1))
