"""Masks to compare: drawn by Hypothesis, and lumps like those of tumours."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

shapes = st.tuples(*[st.integers(1, 8)] * 3)
pairs = shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.bool_, shape)] * 2))
filled = pairs.filter(lambda pair: all(mask.any() for mask in pair))
spacings = st.tuples(*[st.sampled_from((0.5, 1.0, 2.0, 3.3))] * 3)


def lumps(seed: int, shape: tuple[int, int, int] = (40, 36, 28), share: float = 0.06) -> Mask:
    """Several separate lumps of different sizes."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.random(shape), 2.2)
    mask: Mask = field > np.quantile(field, 1 - share)
    return mask


def ball(shape: tuple[int, int, int], centre: tuple[float, float, float], radius: float) -> Mask:
    places = np.indices(shape).reshape(3, -1).T
    mask: Mask = (np.linalg.norm(places - np.array(centre), axis=1) <= radius).reshape(shape)
    return mask
