"""One image as the checks look at it: where its head is, and a coarse sample of it, worked out once."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tds_data.preprocess import background
from tds_data.volume import Volume, VoxelArray

SAMPLES_PER_AXIS: Final = 80
"""A sample has at least so many voxels along each axis that is that long, and fewer than twice as many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampledImage:
    """An image with what several checks need to know of it.

    Attributes:
        name: What to call it in a finding: `t1`, `t1ce`, `t2`, `flair`, or another.
        volume: The image itself.
        background: The commonest value of its outer faces.
        mask: Where it differs from that, of the image's shape.
        filled: How many voxels do.
        sample: Every so many-th voxel along each axis, a view.
        sampled_mask: The mask at the sample's voxels, a view.
    """

    name: str
    volume: Volume
    background: np.generic
    mask: NDArray[np.bool_]
    filled: int
    sample: VoxelArray
    sampled_mask: NDArray[np.bool_]

    @classmethod
    def of(cls, name: str, volume: Volume) -> Self:
        """Return an image with what there is to know of it.

        Args:
            name: What to call it in a finding.
            volume: The image.
        """
        value = background(volume.voxels)
        mask: NDArray[np.bool_] = volume.voxels != value
        every = tuple(slice(None, None, max(1, n // SAMPLES_PER_AXIS)) for n in volume.shape)
        return cls(
            name=name,
            volume=volume,
            background=value,
            mask=mask,
            filled=int(np.count_nonzero(mask)),
            sample=volume.voxels[every],
            sampled_mask=mask[every],
        )

    @property
    def volume_ml(self) -> float:
        """Millilitres that differ from the background."""
        return self.filled * self.volume.voxel_volume_ml

    @property
    def background_share(self) -> float:
        """Share of the voxels that are background."""
        return 1.0 - self.filled / self.volume.voxels.size
