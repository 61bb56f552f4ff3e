"""Expert masks in the label scheme of BraTS 2023."""

import logging
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import LabelError
from tds_data.formats.images import read_image
from tds_data.vocabulary import Label
from tds_data.volume import Volume, VoxelArray

OLD_ENHANCING: Final = 4
"""Enhancing tumour in masks from before BraTS 2023."""

logger = logging.getLogger(__name__)


def read_reference(path: Path) -> Volume:
    """Return an expert mask with labels 0 to 3 as uint8.

    Args:
        path: An image of any format in the scheme of BraTS 2023, or in the older one where 4 is the enhancing tumour.

    Raises:
        VolumeReadError: If the file cannot be read.
        LabelError: If a voxel holds something else.
    """
    return translate_labels(read_image(path))


def translate_labels(mask: Volume) -> Volume:
    """Return a mask with labels 0 to 3 as uint8, the older coding (4 for enhancing tumour) translated and logged.

    Args:
        mask: Whole numbers of any type.

    Raises:
        LabelError: If a voxel is no whole number, holds a label outside both schemes, or 3 and 4 occur together.
    """
    labels = _whole_numbers(mask.voxels)
    enhancing = labels == OLD_ENHANCING
    if enhancing.any():
        if (labels == Label.ET).any():
            message = (
                "the mask holds both label 3 and label 4, and either may be the enhancing tumour; bring it to the "
                "scheme 1 necrotic core, 2 oedema, 3 enhancing tumour first"
            )
            raise LabelError(message)
        logger.info("labels_translated scheme=brats-2021 from=4 to=3")
        labels = np.where(enhancing, np.uint8(Label.ET), labels)
    return mask.with_voxels(labels)


def _whole_numbers(voxels: VoxelArray) -> NDArray[np.uint8]:
    numbers = np.asarray(voxels)
    if numbers.dtype.kind == "f" and not (np.isfinite(numbers).all() and np.array_equal(numbers, np.rint(numbers))):
        message = "the mask holds values that are no whole numbers; export the labels themselves, not probabilities"
        raise LabelError(message)
    if numbers.min() < 0 or numbers.max() > OLD_ENHANCING:
        strange = [int(value) for value in np.unique(numbers) if not 0 <= value <= OLD_ENHANCING]
        shown = ", ".join(map(str, strange[:5]))
        message = f"the mask holds labels outside 0 to 4 ({shown}); map them to 1 NCR, 2 ED, 3 ET first"
        raise LabelError(message)
    return numbers.astype(np.uint8, copy=False)
