import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import MODALITIES, PreprocessConfig, Volume, write_volume
from tds_data.cache import CacheConfig
from tds_data.datasets import CaseEntry, FileEntry, Manifest

SHAPE = (24, 28, 20)
AFFINE = np.diag([-3.0, -3.0, 3.0, 1.0])


def head(seed: int) -> np.ndarray:
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    noise = np.random.default_rng(seed).integers(0, 50, SHAPE)
    return np.where(x**2 + y**2 + z**2 < 0.8, 200 + noise, 0).astype(np.int16)


def lesion() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[8:16, 10:18, 6:14] = 2
    mask[10:14, 12:16, 8:12] = 4
    mask[11:13, 13:15, 9:11] = 1
    return mask


def file_entry(path: Path, root: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(
        path=path.relative_to(root).as_posix(), sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
    )


def write_case(root: Path, name: str, seed: int, *, modalities: tuple[str, ...], labelled: bool) -> CaseEntry:
    (root / name).mkdir(parents=True)
    images = {}
    for channel, modality in enumerate(modalities):
        path = root / name / f"{modality}.nii"
        write_volume(path, Volume(head(10 * seed + channel), AFFINE))
        images[modality] = file_entry(path, root)
    mask = None
    if labelled:
        path = root / name / "seg.nii"
        write_volume(path, Volume(lesion(), AFFINE))
        mask = file_entry(path, root)
    return CaseEntry(name=name, patient=f"p-{name}", images=images, mask=mask)


@pytest.fixture
def data_set(tmp_path: Path) -> Callable[..., Manifest]:
    """Write heads of 3 mm with a lesion, and return their manifest."""

    def write(count: int = 3, *, modalities: tuple[str, ...] = tuple(MODALITIES), unlabelled: int = 0) -> Manifest:
        root = tmp_path / "data"
        cases = [
            write_case(root, f"case-{i}", i, modalities=modalities, labelled=i >= unlabelled) for i in range(count)
        ]
        return Manifest(layout="brats", cases=tuple(cases), scheme="brats-2021", root=root)

    return write


@pytest.fixture
def at_3_mm() -> CacheConfig:
    return CacheConfig(preprocess=PreprocessConfig(spacing_mm=3.0))
