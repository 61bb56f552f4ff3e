"""Arithmetic that gives the same bits on every machine.

Sums, products, quotients and square roots of IEEE numbers are the same everywhere; exponentials, logarithms and the
order in which a linear algebra library adds are not. So whatever decides a voxel is computed here or by NumPy's plain
operators, in a fixed order, and never by a matrix product. Single numbers that need more are rounded to a grid that is
far coarser than what two machines can differ by.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
"""Float32 array."""
Taps = tuple[tuple[NDArray[np.intp], Float], ...]
"""For each output place along an axis: which input places to add up, and with which weights."""

_LOG2_E: Final = np.float32(1.4426950408889634)
_LN2_HIGH: Final = np.float32(0.693359375)  # few enough bits that its product with a whole number is exact
_LN2_LOW: Final = np.float32(-2.12194440e-4)
# Cephes' coefficients for (exp(r) - 1 - r) / r^2 on half of ln 2 to both sides.
_POLYNOMIAL: Final = tuple(
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
_EXP_RANGE: Final = 80.0
_SCALAR_BITS: Final = 30
_LEAST_SIGMA: Final = 0.2
_Pair = tuple[slice, slice, slice, slice]


def exp(values: Float) -> Float:
    """Return the exponential of float32 values, correct to about one unit in the last place.

    Args:
        values: Any shape; clipped to -80 to 80.
    """
    clipped = np.clip(values, np.float32(-_EXP_RANGE), np.float32(_EXP_RANGE))
    whole = np.rint(clipped * _LOG2_E)
    rest = clipped - whole * _LN2_HIGH
    rest -= whole * _LN2_LOW
    total = np.full_like(rest, _POLYNOMIAL[0])
    for coefficient in _POLYNOMIAL[1:]:
        total *= rest
        total += coefficient
    total *= rest
    total *= rest
    total += rest
    total += np.float32(1)
    result: Float = np.ldexp(total, whole.astype(np.int32))
    return result


def settled(value: float) -> float:
    """Return a number without its last bits, in which two machines may differ.

    Args:
        value: The result of a function or sum that is not exact.

    Examples:
        >>> settled(1 / 3) == settled(1 / 3 + 1e-15)
        True
    """
    if value == 0:
        return 0.0
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.rint(mantissa * 2**_SCALAR_BITS), int(exponent) - _SCALAR_BITS))


def settled_array(values: NDArray[np.float64], bits: int = _SCALAR_BITS) -> NDArray[np.float64]:
    """Return numbers of the size of one on a fixed grid.

    Args:
        values: Any shape.
        bits: Binary places that are kept.
    """
    rounded: NDArray[np.float64] = np.rint(values * 2.0**bits) / 2.0**bits
    return rounded


def normals(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Float:
    """Return standard normal numbers.

    They are drawn in double precision: the library's comparison with an exponential then never falls the other way.

    Args:
        rng: Source of randomness.
        shape: Of the result.
    """
    return rng.standard_normal(shape).astype(np.float32)


def along_axis(values: Float, axis: int, taps: Taps) -> Float:
    """Return weighted sums of places along one axis, added in the order of the taps.

    Args:
        values: Array of shape (x, y, z).
        axis: 0, 1 or 2.
        taps: Places and weights, one at least.
    """
    shape = tuple(-1 if a == axis else 1 for a in range(values.ndim))
    (index, weight), *others = taps
    total = np.take(values, index, axis=axis)
    total *= weight.reshape(shape)
    for index, weight in others:
        part = np.take(values, index, axis=axis)
        part *= weight.reshape(shape)
        total += part
    return total


def filtered(values: Float, kernel: NDArray[np.float64], axis: int) -> Float:
    """Return values convolved with a symmetric kernel along one axis, the edge repeated.

    Args:
        values: Array of shape (x, y, z).
        kernel: Weights of the middle and of its neighbours on one side, outwards.
        axis: 0, 1 or 2.
    """
    result = values * np.float32(kernel[0])
    size = values.shape[axis]
    for distance, weight in enumerate(kernel[1:], start=1):
        reach = min(distance, size)
        near, far = _shifted(size, reach)
        for here, there, edge_here, edge in (near, far):
            _add(result, values, np.float32(weight), axis, (here, there))
            _add(result, values, np.float32(weight), axis, (edge_here, edge))
    return result


def gaussian(values: Float, sigmas: tuple[float, float, float]) -> Float:
    """Return values blurred by a Gaussian, the edge repeated.

    Args:
        values: Array of shape (x, y, z).
        sigmas: Standard deviation along each axis, in voxels; below 0.2 nothing is done.
    """
    result = values
    for axis, sigma in enumerate(sigmas):
        if sigma >= _LEAST_SIGMA:
            result = filtered(result, gaussian_kernel(sigma), axis)
    return result


def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Return one side of a Gaussian kernel that sums to one over both sides.

    Args:
        sigma: Standard deviation in voxels.
    """
    side = np.exp(-0.5 * (np.arange(max(1, round(3 * sigma)) + 1) / sigma) ** 2)
    return settled_array(side / (2 * side.sum() - 1))


def _shifted(size: int, reach: int) -> tuple[_Pair, _Pair]:
    """Return where neighbours before and after lie: target, source, target at the edge, the edge itself."""
    before = (slice(reach, None), slice(None, size - reach), slice(None, reach), slice(0, 1))
    after = (slice(None, size - reach), slice(reach, None), slice(size - reach, None), slice(size - 1, size))
    return before, after


def _add(result: Float, values: Float, weight: np.float32, axis: int, places: tuple[slice, slice]) -> None:
    lead = (slice(None),) * axis
    here, there = places
    result[(*lead, here)] += weight * values[(*lead, there)]
