"""Which windows of a whole image go through a network, and how much each of their voxels counts.

The same layout serves validation during training and inference from a bundle, so that both see the same windows. It
follows nnU-Net (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z): windows overlap, and the middle of a window,
where the network sees most, counts more than its border.
"""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import ConfigError

Shape = tuple[int, int, int]
"""Voxels along x, y, z."""

Slices = tuple[slice, slice, slice]
"""One window of an image."""

MULTIPLE: Final = 8
"""What each axis is a multiple of where nothing else is said."""

_SIGMA: Final = 0.125
"""Standard deviation of the weight along an axis, as a share of the window's edge."""

_SMALLEST: Final = 1e-3
"""Smallest weight, so that corners that only one window reaches are not lost to rounding."""

_MOST_OVERLAP: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """How a network is led over a whole image.

    Attributes:
        patch: Voxels of a window; every image goes through whole if `None`.
        overlap: Share of its edge that a window shares with the next.
        fixed: Whether the network takes nothing but windows of `patch`.
        multiple: What an image that goes through whole is padded to a multiple of, along x, y, z.
        whole_voxels: An image of so many voxels, padded, or fewer goes through whole unless the network is fixed.
        gaussian: Whether the middle of a window counts more than its border; all voxels count alike if not.

    Raises:
        ConfigError: If a number is out of range, or a fixed network has no patch.
    """

    patch: Shape | None = None
    overlap: float = 0.5
    fixed: bool = False
    multiple: Shape = (MULTIPLE, MULTIPLE, MULTIPLE)
    whole_voxels: int = 0
    gaussian: bool = True

    def __post_init__(self) -> None:
        if min(*self.multiple, *(self.patch or self.multiple)) < 1:
            message = f"windows have edges of at least one voxel; patch {self.patch}, multiple {self.multiple}"
            raise ConfigError(message)
        if not 0.0 <= self.overlap <= _MOST_OVERLAP or self.whole_voxels < 0:
            message = f"windows overlap by 0 to {_MOST_OVERLAP} of their edge; {self.overlap} was given"
            raise ConfigError(message)
        if self.fixed and self.patch is None:
            message = "a network of fixed size needs the size of its patch"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLayout:
    """The windows of one image.

    Attributes:
        shape: Shape of the image.
        padded: Shape after zeros were put around it.
        before: How many zeros come before it along each axis.
        window: Shape of each window.
        starts: Where each window starts in the padded image.
        gaussian: Whether the middle of a window counts more than its border.
    """

    shape: Shape
    padded: Shape
    before: Shape
    window: Shape
    starts: tuple[Shape, ...]
    gaussian: bool = True

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Zeros before and after along x, y, z."""
        x, y, z = ((b, p - n - b) for n, p, b in zip(self.shape, self.padded, self.before, strict=True))
        return x, y, z

    @property
    def inside(self) -> Slices:
        """The image in the padded image."""
        x, y, z = (slice(b, b + n) for n, b in zip(self.shape, self.before, strict=True))
        return x, y, z

    @property
    def weights(self) -> NDArray[np.float32]:
        """How much each voxel of a window counts."""
        return window_weights(self.window) if self.gaussian else np.ones(self.window, np.float32)

    @property
    def windows(self) -> tuple[Slices, ...]:
        """Each window in the padded image."""
        return tuple(_slices(start, self.window) for start in self.starts)


def lay_windows(shape: Shape, plan: WindowPlan) -> WindowLayout:
    """Return the windows that cover an image.

    Args:
        shape: Voxels of the image along x, y, z.
        plan: How the network is led over it.

    Examples:
        >>> lay_windows((20, 8, 8), WindowPlan(patch=(8, 8, 8))).starts
        ((0, 0, 0), (4, 0, 0), (8, 0, 0), (12, 0, 0))
        >>> lay_windows((20, 8, 3), WindowPlan()).padded
        (24, 8, 8)
    """
    whole = _rounded(shape, plan.multiple)
    if plan.patch is None:
        return WindowLayout(shape=shape, padded=whole, before=(0, 0, 0), window=whole, starts=((0, 0, 0),))
    whole = _at_least(whole, plan.patch)
    goes_whole = not plan.fixed and math.prod(whole) <= plan.whole_voxels
    padded = whole if goes_whole else _at_least(shape, plan.patch)
    window = whole if goes_whole else plan.patch
    x, y, z = ((p - n) // 2 for n, p in zip(shape, padded, strict=True))
    steps = [_starts(n, w, plan.overlap) for n, w in zip(padded, window, strict=True)]
    starts = tuple((i, j, k) for i, j, k in itertools.product(*steps))
    return WindowLayout(
        shape=shape, padded=padded, before=(x, y, z), window=window, starts=starts, gaussian=plan.gaussian
    )


@lru_cache(maxsize=4)
def window_weights(window: Shape) -> NDArray[np.float32]:
    """Return how much each voxel of a window counts: a Gaussian around its middle, never below a thousandth.

    Args:
        window: Its shape.
    """
    profiles = []
    for edge in window:
        from_middle = np.arange(edge, dtype=np.float32) - np.float32((edge - 1) / 2)
        profiles.append(np.exp(-(from_middle**2) / np.float32(2 * (_SIGMA * edge) ** 2)))
    weights: NDArray[np.float32] = np.einsum("i,j,k->ijk", *profiles).astype(np.float32)
    np.maximum(weights, _SMALLEST, out=weights)
    weights.flags.writeable = False
    return weights


def _slices(start: Shape, window: Shape) -> Slices:
    x, y, z = (slice(s, s + w) for s, w in zip(start, window, strict=True))
    return x, y, z


def _rounded(shape: Shape, multiple: Shape) -> Shape:
    x, y, z = (n + -n % m for n, m in zip(shape, multiple, strict=True))
    return x, y, z


def _at_least(shape: Shape, least: Shape) -> Shape:
    x, y, z = (max(n, m) for n, m in zip(shape, least, strict=True))
    return x, y, z


def _starts(length: int, edge: int, overlap: float) -> tuple[int, ...]:
    """Return where windows start along one axis; the last is moved back to end with the image."""
    step = max(1, int(edge * (1 - overlap)))
    last = length - edge
    return (*range(0, last, step), last)
