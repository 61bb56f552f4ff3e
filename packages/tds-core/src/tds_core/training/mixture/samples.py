"""Patients, lesion cubes and tumour shapes as the trainer holds them in memory."""

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tds_core.errors import ConfigError, TrainingError
from tds_core.training.mixture.config import DataConfig
from tds_data.case import Case
from tds_data.geometry import resample
from tds_data.preprocess import PreprocessConfig, prepare, prepare_reference
from tds_data.vocabulary import REGION_LABELS, REGIONS, Label

log = logging.getLogger(__name__)

_MIN_LABEL_VOXELS: Final = 30
_OLD_ET: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One patient on the network's grid.

    Attributes:
        name: Label for logs.
        image: Float32 tensor of shape (4, x, y, z), z-scores.
        regions: Float32 tensor of shape (3, x, y, z): share of each voxel in WT, TC, ET.
        origin: First index of the crop on the patient's own RAS-oriented 1 mm grid.
    """

    name: str
    image: Tensor
    regions: Tensor
    origin: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """A real lesion cut out of another patient.

    Attributes:
        image: Float32 tensor of shape (4, x, y, z), z-scores.
        regions: Float32 tensor of shape (3, x, y, z).
        label_mean: Float32 array of shape (3, 4): mean of each label 1 to 3 in each sequence, NaN where too few voxels.
        label_std: The matching standard deviations.
    """

    image: Tensor
    regions: Tensor
    label_mean: NDArray[np.float32]
    label_std: NDArray[np.float32]


def make_sample(case: Case, config: PreprocessConfig) -> Sample:
    """Return a case with its reference on the network's grid.

    Args:
        case: A case with a reference mask.
        config: The preprocessing of the network.

    Raises:
        TrainingError: If the case has no reference mask.
    """
    if case.reference is None:
        message = f"case {case.name!r} has no reference mask; training needs one"
        raise TrainingError(message)
    prepared = prepare(case, config)
    return Sample(
        name=case.name,
        image=torch.from_numpy(prepared.tensor),
        regions=torch.from_numpy(prepare_reference(prepared, case.reference)),
        origin=prepared.box.start,
    )


def load_cubes(path: Path, exclude: Sequence[str], spacing_mm: float) -> tuple[Cube, ...]:
    """Return real lesion cubes on the network's voxel size.

    Args:
        path: NPZ file with `x` (n, 4, 32, 32, 32) int8 times `scale`, `y` labels 1/2/4, `case`, `spacing_mm`; LPS.
        exclude: Patients to leave out; a cube is dropped when its `case` begins with one of them.
        spacing_mm: Edge of the network's voxels in millimetres.

    Raises:
        ConfigError: If the file cannot be read.
    """
    x, scale, y, names, spacing = _read_arrays(path, "x", "scale", "y", "case", "spacing_mm")
    kept = _kept(names, exclude)
    log.info("lesion cubes loaded", extra={"kept": len(kept), "excluded": len(names) - len(kept)})
    factors = _factors(spacing, spacing_mm)
    return tuple(_cube(x[i].astype(np.float32) * float(scale), y[i], factors) for i in kept)


def load_shapes(path: Path, exclude: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return whole-head label maps in RAS order with labels 1 to 3, and their voxel size.

    Args:
        path: NPZ file with `seg` (n, 128, 128, 128) labels 1/2/4, `case`, `spacing_mm`; LPS.
        exclude: Patients to leave out.

    Returns:
        Uint8 array of shape (n, x, y, z) and float64 array of shape (3,) in millimetres.

    Raises:
        ConfigError: If the file cannot be read.
    """
    seg, names, spacing = _read_arrays(path, "seg", "case", "spacing_mm")
    kept = _kept(names, exclude)
    shapes = seg[kept][:, ::-1, ::-1, :]
    return np.where(shapes == _OLD_ET, np.uint8(Label.ET), shapes), np.asarray(spacing, np.float64)


def shape_regions(labels: NDArray[np.uint8], spacing: NDArray[np.float64], sample: Sample, spacing_mm: float) -> Tensor:
    """Return a whole-head label map as regions on a sample's grid, at its own place in the head.

    Args:
        labels: Uint8 array of shape (x, y, z), RAS order, covering the same head space as the sample.
        spacing: Voxel size of the labels, millimetres.
        sample: The host, cropped from a 1 mm grid of that head space.
        spacing_mm: Edge of the network's voxels in millimetres.

    Returns:
        Float32 tensor of shape (3, x, y, z).
    """
    start = [round(o / s) for o, s in zip(sample.origin, spacing, strict=True)]
    x, y, z = (slice(min(a, n), n) for a, n in zip(start, labels.shape, strict=True))
    return _regions(labels[x, y, z], _factors(spacing, spacing_mm), tuple(sample.image.shape[1:]))


def preprocessing(config: DataConfig) -> PreprocessConfig:
    """Return the preprocessing of a training run.

    Args:
        config: Where the data lies.
    """
    return PreprocessConfig(spacing_mm=config.spacing_mm)


def _read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile, zlib.error) as error:
        message = f"cannot read {path.name!r}: {error}; it must be an NPZ file with {', '.join(names)}"
        raise ConfigError(message) from error


def _kept(names: NDArray[np.str_], exclude: Sequence[str]) -> list[int]:
    absent = [e for e in exclude if not any(_excluded(str(name), [e]) for name in names)]
    if absent:
        message = f"nothing is called {', '.join(absent)}: a misspelt patient to leave out would be trained on"
        raise ConfigError(message)
    return [i for i, name in enumerate(names) if not _excluded(str(name), exclude)]


def _excluded(name: str, exclude: Sequence[str]) -> bool:
    return any(name == e or name.startswith(f"{e}_") for e in exclude)


def _factors(spacing: NDArray[np.float64], spacing_mm: float) -> tuple[float, float, float]:
    x, y, z = (float(spacing_mm / s) for s in spacing)
    return x, y, z


def _regions(labels: NDArray[np.uint8], factors: tuple[float, float, float], shape: tuple[int, ...]) -> Tensor:
    size = (shape[0], shape[1], shape[2])
    masks = [np.isin(labels, list(REGION_LABELS[r])).astype(np.float32) for r in REGIONS]
    return torch.from_numpy(np.stack([resample(m, factors, size) for m in masks]))


def _cube(image: NDArray[np.float32], labels: NDArray[np.uint8], factors: tuple[float, float, float]) -> Cube:
    image, labels = image[:, ::-1, ::-1], labels[::-1, ::-1]
    labels = np.where(labels == _OLD_ET, np.uint8(Label.ET), labels)
    x, y, z = (int(n / f) for n, f in zip(labels.shape, factors, strict=True))
    mean = np.full((3, len(image)), np.nan, np.float32)
    std = mean.copy()
    for label in (Label.NCR, Label.ED, Label.ET):
        inside = labels == label
        if np.count_nonzero(inside) >= _MIN_LABEL_VOXELS:
            mean[label - 1] = image[:, inside].mean(axis=1)
            std[label - 1] = image[:, inside].std(axis=1)
    resampled = np.stack([resample(np.ascontiguousarray(c), factors, (x, y, z)) for c in image])
    return Cube(
        image=torch.from_numpy(resampled),
        regions=_regions(labels, factors, (x, y, z)),
        label_mean=mean,
        label_std=std,
    )
