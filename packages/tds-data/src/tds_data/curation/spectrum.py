"""What an image looks like, whatever file it is in: a few thousand numbers that hardly change when it is saved anew.

They tell which images may be one. Whether two are, `overlap` says: outlines that are alike make spectra alike.

The image is averaged to cells of 4 mm, wrapped into a cube of 256 mm and taken to the frequency domain, where only the
strengths of the waves are kept: they do not depend on where the image lies in its grid, so cropping or padding changes
little. The strengths of the waves that differ in sign only are averaged, so neither does mirroring. What is kept is the
logarithm, less its mean at each wavelength: so neither scale nor offset, smoothing nor noise, which act on all waves of
a length alike, matter much. Orders of the axes are told apart, and tried when two images are compared.

Wavelengths from 13 to 64 mm take part. Longer ones are the shape of the head, which patients in one atlas space share;
shorter ones are lost in slightly smoothed or noisy copies.
"""

from functools import cache
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.geometry import resample
from tds_data.volume import Volume, VoxelArray

_CELL_MM: Final = 4.0
_CELLS: Final = 64
_WAVES: Final = (4, 20)  # per 256 mm
_SAMPLE: Final = 7  # one voxel in so many is plenty for a quantile
_LOW_QUANTILE: Final = 0.001
_HIGH_QUANTILE: Final = 0.995
_BELOW_BACKGROUND: Final = 0.1
_MASKED: Final = 0.98
_TINY: Final = 1e-12


def spectrum(volume: Volume) -> NDArray[np.float32]:
    """Return the strengths of an image's waves: shape (4611,), mean 0 and norm 1, or all 0 if it has none.

    Args:
        volume: An image of any kind, size and orientation; values that are not finite count as background.
    """
    cells = _wrapped(in_cells(volume))
    power = np.abs(np.fft.fftn(cells)) ** 2
    for axis in range(3):
        power = (power + np.roll(np.flip(power, axis), 1, axis)) / 2
    if not power.max() > 0:
        return np.zeros(len(_waves()), np.float32)
    kx, ky, kz = _waves().T
    strengths = np.log(power[kx, ky, kz] + _TINY * power.max())
    lengths = _lengths()
    means = np.bincount(lengths, strengths) / np.maximum(np.bincount(lengths), 1)
    return _normalised(strengths - means[lengths])


def orderless(spectra: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return shorter spectra that do not depend on the order of the axes: shape (n, 886), norm 1 each.

    Args:
        spectra: Shape (n, 4611).
    """
    kept = _sorted_waves()
    short = np.zeros((len(spectra), len(kept)), np.float32)
    for order in _orders():
        short += spectra[:, order[kept]]
    short -= short.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(short, axis=1, keepdims=True)
    np.divide(short, norms, out=short, where=norms > 0)
    return short


def best_order(first: NDArray[np.float32], second: NDArray[np.float32]) -> tuple[float, tuple[int, int, int]]:
    """Return how alike two images are, 1 for the same, and the order of the second's axes that suits the first best.

    Args:
        first: Spectrum of shape (4611,).
        second: Another one.
    """
    alike = [float(first @ second[order]) for order in _orders()]
    best = int(np.argmax(alike))
    x, y, z = np.argsort(list(permutations(range(3)))[best])
    return alike[best], (int(x), int(y), int(z))


def in_cells(volume: Volume) -> NDArray[np.float32]:
    """Return an image averaged to cells of 4 mm, with its background at 0 and its brightest spots cut.

    Args:
        volume: An image of any kind; values that are not finite count as background.
    """
    image = _above_background(volume.voxels)
    x, y, z = (_CELL_MM / length for length in volume.spacing_mm)
    shape = [max(1, int(np.ceil(size / factor))) for size, factor in zip(image.shape, (x, y, z), strict=True)]
    if image.flags.f_contiguous:  # as files have it, and a copy in the other order takes long
        return resample(image.T, (z, y, x), (shape[2], shape[1], shape[0])).T
    return resample(image, (x, y, z), (shape[0], shape[1], shape[2]))


def _above_background(voxels: VoxelArray) -> NDArray[np.float32]:
    """Return the image with its background at 0 and its brightest spots cut."""
    image = np.array(voxels, dtype=np.float32, order="K")
    finite = np.isfinite(image) if not np.isfinite(image.sum(dtype=np.float64)) else np.True_
    faces = (image[0], image[-1], image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1])
    border = np.concatenate([face.ravel() for face in faces])
    border = border[np.isfinite(border)]
    background = np.median(border) if border.size else np.float32(0)
    np.copyto(image, background, where=~finite)
    sample = image.ravel(order="K")[::_SAMPLE]
    inside = sample[sample != background]
    if not inside.size:
        return np.zeros_like(image)
    # An image that was normalised inside a mask has its background in the middle of its values: it goes below them.
    if inside.size < _MASKED * sample.size and np.mean(inside < background) > _BELOW_BACKGROUND:
        low = np.quantile(inside, _LOW_QUANTILE)
        np.copyto(image, low, where=image == background)
        background = low
    image -= background
    high = np.quantile(np.abs(inside - background), _HIGH_QUANTILE)
    return np.clip(image, -high, high, out=image)


def _wrapped(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of all cubes that a grid is made of: the waves that fit into a cube are the same in it."""
    for axis in range(3):
        cubes = -(-cells.shape[axis] // _CELLS)
        padding = [(0, 0)] * 3
        padding[axis] = (0, cubes * _CELLS - cells.shape[axis])
        padded = np.pad(cells, padding)
        cells = padded.reshape(*padded.shape[:axis], cubes, _CELLS, *padded.shape[axis + 1 :]).sum(axis)
    return cells


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float32]:
    values = values - values.mean()
    norm = np.linalg.norm(values)
    return (values / norm if norm > 0 else values).astype(np.float32)


@cache
def _waves() -> NDArray[np.intp]:
    """Return the waves that take part, as numbers per cube along each axis, of shape (4611, 3)."""
    low, high = _WAVES
    grid = np.indices((high + 1,) * 3).reshape(3, -1).T
    radius = np.linalg.norm(grid, axis=1)
    return np.asarray(grid[(radius >= low) & (radius <= high)], np.intp)


@cache
def _lengths() -> NDArray[np.intp]:
    return np.asarray(np.rint(np.linalg.norm(_waves(), axis=1)), np.intp)


@cache
def _orders() -> tuple[NDArray[np.intp], ...]:
    """Return, for each order of the axes, where each wave is found in the other image."""
    places = {tuple(wave): place for place, wave in enumerate(_waves().tolist())}
    waves = _waves()
    return tuple(
        np.array([places[tuple(wave)] for wave in waves[:, list(order)].tolist()]) for order in permutations(range(3))
    )


@cache
def _sorted_waves() -> NDArray[np.intp]:
    kx, ky, kz = _waves().T
    return np.flatnonzero((kx <= ky) & (ky <= kz))
