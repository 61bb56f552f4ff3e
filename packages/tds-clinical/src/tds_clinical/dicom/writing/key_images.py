"""Pictures of what was found as Secondary Capture images (PS3.3, section A.8.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.findings import ResultContext


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyPicture:
    """One picture to file.

    Attributes:
        pixels: Red, green and blue, uint8, shape (rows, columns, 3); whoever draws it writes no name into it, and that
            it is for research use only.
        title: What it shows, without patient identifiers.
        lesion: Number of the lesion that it shows; `None` if it shows all or none.
    """

    pixels: NDArray[np.uint8]
    title: str
    lesion: int | None = None


def build_key_images(context: ResultContext, pictures: Sequence[KeyPicture]) -> tuple[Dataset, ...]:
    """Return pictures as Secondary Capture images of one series.

    Args:
        context: What they are about.
        pictures: What they show, in order.
    """
    raise NotImplementedError
