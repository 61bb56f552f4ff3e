"""Drawing what is done to a patch."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.loading.augmentation.config import AugmentConfig, Interval
from tds_data.loading.augmentation.record import (
    IDENTITY,
    AugmentRecord,
    BiasField,
    Blur,
    Brightness,
    Contrast,
    Dropout,
    Elastic,
    Gamma,
    Geometry,
    LowResolution,
    Matrix,
    Noise,
    Step,
)

BIAS_TERMS: Final = tuple(
    (i, j, k)
    for i in range(4)
    for j in range(4)
    for k in range(4)
    if i + j + k <= 3  # noqa: PLR2004  # the degree
)
"""Degrees along x, y and z of each polynomial of a bias field."""

_SEEDS: Final = 2**31


def draw(
    config: AugmentConfig, rng: np.random.Generator, present: Sequence[bool], *, windowed: Sequence[int] = ()
) -> AugmentRecord:
    """Return what to do to a patch, mixing aside, which needs to see it.

    Args:
        config: Chances and ranges.
        rng: Source of randomness.
        present: Whether the case has each channel; one that it lacks stays zero.
        windowed: Channels with a window, such as CT, which no coil shades: they get no bias field.
    """
    channels = [channel for channel, there in enumerate(present) if there]
    geometry = draw_geometry(config, rng)
    candidates = (
        _noise(config, rng, channels),
        _blur(config, rng, channels),
        _brightness(config, rng, channels),
        _contrast(config, rng, channels),
        _low_resolution(config, rng, channels),
        _gamma(config, rng, channels, inverted=True),
        _gamma(config, rng, channels, inverted=False),
        _bias_field(config, rng, [channel for channel in channels if channel not in windowed]),
        _dropout(config, rng, channels),
    )
    return AugmentRecord(geometry=geometry, steps=tuple(step for step in candidates if step is not None))


def draw_geometry(config: AugmentConfig, rng: np.random.Generator) -> Geometry:
    """Return where the voxels of a patch come from.

    Args:
        config: Chances and ranges.
        rng: Source of randomness.
    """
    matrix = np.eye(3)
    if _happens(rng, config.rotation_chance):
        matrix = _rotation(np.deg2rad(rng.uniform(-config.rotation_degrees, config.rotation_degrees, 3)))
    if _happens(rng, config.scale_chance):
        matrix = matrix * rng.uniform(*config.scale)
    elastic = None
    if _happens(rng, config.elastic_chance):
        elastic = Elastic(
            seed=int(rng.integers(_SEEDS)),
            spacing_voxels=config.elastic_spacing_voxels,
            magnitude_voxels=float(rng.uniform(0.2, 1.0) * config.elastic_share * config.elastic_spacing_voxels),
        )
    x, y, z = (_happens(rng, config.mirror_chance) for _ in range(3))
    return Geometry(mirrored=(x, y, z), matrix=_rows(matrix), elastic=elastic)


def _noise(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    if not _happens(rng, config.noise_chance):
        return None
    return Noise(channels=tuple(channels), std=float(rng.uniform(*config.noise_std)), seed=int(rng.integers(_SEEDS)))


def _blur(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    chosen = _some(rng, config.blur_chance, channels, config.blur_channel_chance)
    sigmas = {channel: rng.uniform(*config.blur_sigma_voxels, 3).tolist() for channel in chosen}
    return Blur(sigmas_voxels={channel: (x, y, z) for channel, (x, y, z) in sigmas.items()}) if sigmas else None


def _brightness(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    factors = _around_one(rng, config.brightness_chance, channels, config.brightness)
    return Brightness(factors=factors) if factors else None


def _contrast(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    factors = _around_one(rng, config.contrast_chance, channels, config.contrast)
    return Contrast(factors=factors) if factors else None


def _low_resolution(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    chosen = _some(rng, config.low_resolution_chance, channels, config.low_resolution_channel_chance)
    shares = {channel: float(rng.uniform(*config.low_resolution)) for channel in chosen}
    return LowResolution(shares=shares) if shares else None


def _gamma(config: AugmentConfig, rng: np.random.Generator, channels: list[int], *, inverted: bool) -> Step | None:
    chance = config.inverted_gamma_chance if inverted else config.gamma_chance
    exponents = _around_one(rng, chance, channels, config.gamma)
    return Gamma(exponents=exponents, inverted=inverted) if exponents else None


def _bias_field(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    chosen = channels if _happens(rng, config.bias_chance) else []
    size = config.bias_coefficient
    coefficients = {channel: tuple(rng.uniform(-size, size, len(BIAS_TERMS)).tolist()) for channel in chosen}
    return BiasField(coefficients=coefficients) if coefficients else None


def _dropout(config: AugmentConfig, rng: np.random.Generator, channels: list[int]) -> Step | None:
    chosen = _some(rng, config.dropout_chance, channels, config.dropout_channel_chance)
    if chosen and len(chosen) == len(channels):
        del chosen[int(rng.integers(len(chosen)))]
    return Dropout(channels=tuple(chosen)) if chosen else None


def _happens(rng: np.random.Generator, chance: float) -> bool:
    return bool(rng.random() < chance)


def _some(rng: np.random.Generator, chance: float, channels: list[int], channel_chance: float) -> list[int]:
    if not _happens(rng, chance):
        return []
    return [channel for channel in channels if _happens(rng, channel_chance)]


def _around_one(rng: np.random.Generator, chance: float, channels: list[int], interval: Interval) -> dict[int, float]:
    """Return a factor for each channel: below and above 1 are equally likely, where the interval has both."""
    if not _happens(rng, chance):
        return {}
    low, high = interval
    factors = {}
    for channel in channels:
        below = _happens(rng, 0.5)
        if (below and low < 1) or high <= 1:
            factors[channel] = float(rng.uniform(low, min(high, 1.0)))
        else:
            factors[channel] = float(rng.uniform(max(low, 1.0), high))
    return factors


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def _rows(matrix: NDArray[np.float64]) -> Matrix:
    if np.array_equal(matrix, np.eye(3)):
        return IDENTITY
    a, b, c = ((float(x), float(y), float(z)) for x, y, z in matrix)
    return a, b, c
