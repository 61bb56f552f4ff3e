"""The golden case: a small input whose mask a bundle must reproduce."""

import hashlib
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tds_core.bundle import GOLDEN_NAME, Bundle
from tds_core.engine import Engine
from tds_core.errors import BundleAltered
from tds_core.inference import coarse_labels, predict
from tds_data.vocabulary import REGIONS

SURE: Final = 0.02
"""Voxels whose probability lies closer than this to a threshold are left out of the hash: rounding may move them."""


def golden_hash(labels: NDArray[np.uint8], sure: NDArray[np.bool_]) -> str:
    """Return the SHA-256 of a label map where it is sure.

    Args:
        labels: Uint8 labels of shape (x, y, z).
        sure: Boolean array of that shape; labels elsewhere count as 0.
    """
    return hashlib.sha256(np.ascontiguousarray(labels * sure, dtype=np.uint8).tobytes()).hexdigest()


def run_golden(
    bundle: Bundle, engine: Engine, image: NDArray[np.int8], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the mask of the golden image and where it is sure.

    Args:
        bundle: The model.
        engine: Runs it.
        image: Int8 array of shape (channel, x, y, z).
        scale: Z-score of one step of the image.
    """
    probabilities = predict(engine, image.astype(np.float32) * np.float32(scale))
    limits = np.array([bundle.postprocess.thresholds[r] for r in REGIONS], dtype=np.float32)[:, None, None, None]
    sure = (np.abs(probabilities - limits) >= SURE).all(axis=0)
    return coarse_labels(probabilities, bundle), sure


def verify_golden(bundle: Bundle, engine: Engine) -> None:
    """Check that a model gives the mask that it gave when it was packed.

    Args:
        bundle: The model.
        engine: Runs it.

    Raises:
        BundleAltered: If the mask differs: another model, or a runtime that computes something else.
    """
    try:
        with (bundle.folder / GOLDEN_NAME).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            image, scale, sure = archive["image"], float(archive["scale"]), archive["sure"]
    except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile) as error:
        raise BundleAltered(GOLDEN_NAME, "it holds no golden case that can be read") from error
    labels, _ = run_golden(bundle, engine, image, scale)
    expected = bundle.golden_sha256
    actual = golden_hash(labels, sure)
    if actual != expected:
        raise BundleAltered(GOLDEN_NAME, f"the model gives mask {actual[:12]}…, expected {expected[:12]}…")
