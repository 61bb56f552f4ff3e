"""The golden case: a small input whose mask a bundle must reproduce."""

import hashlib
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tds_core.bundle import GOLDEN_NAME, Bundle
from tds_core.engine import Engine, Ensemble
from tds_core.errors import BundleAltered
from tds_core.prediction import coarse_labels, predict

SURE: Final = 0.02
"""Voxels whose probability lies closer than this to a threshold are left out of the hash: rounding may move them."""


_STEPS: Final = 255
_MOST_KEPT: Final = 48


def golden_hash(labels: NDArray[np.uint8], sure: NDArray[np.bool_]) -> str:
    """Return the SHA-256 of a label map where it is sure.

    Args:
        labels: Uint8 labels of shape (x, y, z).
        sure: Boolean array of that shape; labels elsewhere count as 0.
    """
    return hashlib.sha256(np.ascontiguousarray(labels * sure, dtype=np.uint8).tobytes()).hexdigest()


def run_golden(
    bundle: Bundle, engine: Engine | Ensemble, image: NDArray[np.int8], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the mask of the golden image and where it is sure.

    Args:
        bundle: The model.
        engine: Runs it.
        image: Int8 array of shape (channel, x, y, z).
        scale: Z-score of one step of the image.
    """
    return _labels(bundle, golden_probabilities(bundle, engine, image, scale))


def golden_probabilities(
    bundle: Bundle, engine: Engine | Ensemble, image: NDArray[np.int8], scale: float
) -> NDArray[np.float32]:
    """Return the probabilities of each region in the golden image, without mirroring.

    Args:
        bundle: The model.
        engine: Runs it.
        image: Int8 array of shape (channel, x, y, z).
        scale: Z-score of one step of the image.
    """
    return predict(engine, image.astype(np.float32) * np.float32(scale), use=bundle.use)


def packed_probabilities(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return what a golden case keeps of probabilities: few of them along each axis, in steps of 1/255.

    Args:
        probabilities: Float32 array of shape (region, x, y, z).
    """
    x, y, z = (slice(None, None, -(-n // _MOST_KEPT)) for n in probabilities.shape[1:])
    return np.rint(probabilities[:, x, y, z] * _STEPS).astype(np.uint8)


def verify_golden(bundle: Bundle, engine: Engine | Ensemble) -> None:
    """Check that a model gives what it gave when it was packed: the mask, and where they are kept the probabilities.

    Args:
        bundle: The model.
        engine: Runs it.

    Raises:
        BundleAltered: If the result differs: another model, or a runtime that computes something else.
    """
    try:
        with (bundle.folder / GOLDEN_NAME).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            image, scale, sure = archive["image"], float(archive["scale"]), archive["sure"]
            kept = archive.get("probabilities")
    except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile) as error:
        raise BundleAltered(GOLDEN_NAME, "it holds no golden case that can be read") from error
    probabilities = golden_probabilities(bundle, engine, image, scale)
    labels, _ = _labels(bundle, probabilities)
    expected = bundle.golden_sha256
    actual = golden_hash(labels, sure)
    if actual != expected:
        raise BundleAltered(GOLDEN_NAME, f"the model gives mask {actual[:12]}…, expected {expected[:12]}…")
    if kept is not None:
        _compare(packed_probabilities(probabilities), kept)


def _labels(bundle: Bundle, probabilities: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    regions, thresholds = bundle.use.task.regions, bundle.postprocess.thresholds
    limits = np.array([thresholds[r] for r in regions], dtype=np.float32)[:, None, None, None]
    sure: NDArray[np.bool_] = (np.abs(probabilities - limits) >= SURE).all(axis=0)
    return coarse_labels(probabilities, bundle), sure


def _compare(found: NDArray[np.uint8], kept: NDArray[np.uint8]) -> None:
    if found.shape != kept.shape:
        raise BundleAltered(GOLDEN_NAME, f"it keeps probabilities of shape {kept.shape}, the model gives {found.shape}")
    furthest = int(np.abs(found.astype(np.int16) - kept).max()) / _STEPS
    if furthest > SURE:
        raise BundleAltered(GOLDEN_NAME, f"the model's probabilities differ by up to {furthest:.3f} from those kept")
