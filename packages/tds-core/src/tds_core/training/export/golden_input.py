"""The input of a golden case: a cut of a phantom, or shapes in noise for other tasks; the same on every machine."""

import logging
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_core.description import NetworkUse
from tds_core.windows import Shape
from tds_data.errors import MissingDependency
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.preprocess import PreprocessConfig, prepare
from tds_data.task import Task

GOLDEN_SCALE: Final = 0.05
"""The z-score that one step of a golden image stands for."""

_SEED: Final = 4242
_EDGE: Final = 48
_LARGEST: Final = 127
_PHANTOM_MM: Final = 2.0
_COARSEST_MM: Final = 4.0  # phantoms have no larger voxels
_BRIGHT: Final = 2.0
_BLOBS: Final = 6

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldenInput:
    """What a model is shown.

    Attributes:
        image: Int8 array of shape (channel, x, y, z), in steps of `GOLDEN_SCALE`.
        source: `phantom` or `shapes`.
        seed: It was made from.
    """

    image: NDArray[np.int8]
    source: str
    seed: int = _SEED

    @property
    def tensor(self) -> NDArray[np.float32]:
        """The image as the network sees it."""
        return self.image.astype(np.float32) * np.float32(GOLDEN_SCALE)


def make_golden_input(use: NetworkUse, preprocess: PreprocessConfig) -> GoldenInput:
    """Return an input that suits a model.

    Args:
        use: How its network is run.
        preprocess: How cases become tensors.
    """
    shape = golden_shape(use)
    if use.is_brain_tumour:
        try:
            return GoldenInput(image=_steps(_phantom_cut(shape, preprocess)), source="phantom")
        except MissingDependency as error:
            logger.warning("golden_case_without_phantom reason=%s", error)
    return GoldenInput(image=_steps(_shapes(shape, use.task)), source="shapes")


def golden_shape(use: NetworkUse) -> Shape:
    """Return the size of a golden image: the patch of a fixed network, else about 48 voxels along each axis.

    Args:
        use: How the network is run.
    """
    plan = use.windows
    if plan.fixed and plan.patch is not None:
        return plan.patch
    x, y, z = (max(2, -(-_EDGE // m)) * m for m in plan.multiple)
    return x, y, z


def _phantom_cut(shape: Shape, preprocess: PreprocessConfig) -> NDArray[np.float32]:
    edge = min(_COARSEST_MM, max(_PHANTOM_MM, *preprocess.voxel_mm))
    case = make_phantom(PhantomConfig(seed=_SEED, spacing_mm=edge))
    tensor = prepare(case, preprocess).tensor
    bright = np.argwhere(tensor[-1] > min(_BRIGHT, 0.9 * float(tensor[-1].max())))
    cut = np.zeros((len(tensor), *shape), np.float32)
    here, there = [], []
    for middle, wanted, there_is in zip(bright.mean(axis=0), shape, tensor.shape[1:], strict=True):
        start = int(np.clip(middle - wanted // 2, 0, max(0, there_is - wanted)))
        length = min(wanted, there_is)
        here.append(slice((wanted - length) // 2, (wanted - length) // 2 + length))
        there.append(slice(start, start + length))
    cut[(slice(None), *here)] = tensor[(slice(None), *there)]
    return cut


def _shapes(shape: Shape, task: Task) -> NDArray[np.float32]:
    """Return noise with soft balls in it; channels with a window stay inside -1 to 1."""
    rng = np.random.default_rng(_SEED)
    balls = np.zeros(shape, np.float32)
    for _ in range(_BLOBS):
        centre, radius = rng.uniform(0.2, 0.8, 3) * shape, rng.uniform(0.08, 0.2) * min(shape)
        distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)))
        balls += np.clip(radius + 1 - distance, 0, 1).astype(np.float32)
    image = np.empty((len(task.channels), *shape), np.float32)
    for number, channel in enumerate(task.channels):
        noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
        values = noise / noise.std() * 0.5 + balls * rng.uniform(1.0, 2.0)
        image[number] = np.clip(values * 0.4, -1, 1) if channel in task.windows else values
    return image


def _steps(image: NDArray[np.float32]) -> NDArray[np.int8]:
    steps: NDArray[np.int8] = np.clip(np.rint(image / GOLDEN_SCALE), -_LARGEST, _LARGEST).astype(np.int8)
    return steps
