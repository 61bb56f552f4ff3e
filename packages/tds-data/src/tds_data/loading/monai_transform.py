"""Our augmentation as a transform for MONAI's pipelines."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch

from tds_data.box import Shape
from tds_data.errors import MissingDependency
from tds_data.loading.augmentation.apply import Patch, augment
from tds_data.loading.augmentation.config import PRESETS, AugmentConfig, Preset

try:
    from monai.transforms.transform import MapTransform, Randomizable
except ImportError as error:  # pragma: no cover  # the tests have it
    raise MissingDependency("monai", "torch") from error


class Augmentd(Randomizable, MapTransform):
    """A dictionary transform that augments an image and its labels together.

    Its randomness is MONAI's: `set_random_state`, or the seed of a MONAI loader.

    Args:
        config: What to do, or the name of a preset. Mixing needs another case and is left out here.
        image_key: Key of the image, of shape (channel, x, y, z).
        label_key: Key of the labels, of shape (1, x, y, z).
        record_key: Key that receives the record, as plain JSON types.
        shape: Voxels of the result, cut from the middle; as many as the image has if left out.
        windowed: Numbers of the channels with a window from -1 to 1, such as CT.
    """

    def __init__(
        self,
        config: AugmentConfig | Preset | str,
        *,
        image_key: str = "image",
        label_key: str = "label",
        record_key: str = "augmentation",
        shape: Shape | None = None,
        windowed: tuple[int, ...] = (),
    ) -> None:
        super().__init__([image_key, label_key])
        self.config = config if isinstance(config, AugmentConfig) else PRESETS[Preset(config)]
        self.image_key, self.label_key, self.record_key = image_key, label_key, record_key
        self.shape = shape
        self.windowed = windowed

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with image and labels changed and the record added.

        Args:
            data: Tensors or arrays under the keys; others pass through.

        Raises:
            AugmentError: If they are not of these shapes.
        """
        image = torch.as_tensor(data[self.image_key], dtype=torch.float32)
        labels = torch.as_tensor(data[self.label_key])
        rng = np.random.default_rng(int(self.R.randint(2**32, dtype=np.uint64)))
        patch = Patch(image=image, labels=labels[0].to(torch.uint8), windowed=self.windowed)
        changed, record = augment(patch, self.config, rng, shape=self.shape)
        return {
            **data,
            self.image_key: changed.image,
            self.label_key: changed.labels[None].to(labels.dtype),
            self.record_key: record.to_dict(),
        }
