import hashlib
from pathlib import Path

import numpy as np
import pytest

from tds_data import MODALITIES, PreprocessConfig, Volume, write_volume
from tds_data.cache import Cache, CacheConfig, build_cache
from tds_data.datasets import CaseEntry, FileEntry, Manifest

SHAPE = (24, 28, 20)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def head(seed: int) -> np.ndarray:
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    noise = np.random.default_rng(seed).integers(0, 150, SHAPE)
    return np.where(x**2 + y**2 + z**2 < 0.9, 200 + noise, 0).astype(np.int16)


def lesion(seed: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    a, b, c = 5 + seed, 8 + seed, 6 + seed % 3
    mask[a : a + 7, b : b + 8, c : c + 6] = 2
    mask[a + 2 : a + 5, b + 2 : b + 6, c + 1 : c + 5] = 1
    if seed != 1:  # one case without enhancing tumour
        mask[a + 3, b + 3 : b + 5, c + 2 : c + 4] = 3
    return mask


def file_entry(path: Path, root: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(
        path=path.relative_to(root).as_posix(), sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
    )


def make_manifest(root: Path) -> Manifest:
    """Five cases: one without T2, one without enhancing tumour, one without a mask."""
    cases = []
    for seed in range(5):
        folder = root / f"case-{seed}"
        folder.mkdir(parents=True)
        images = {}
        for channel, modality in enumerate(MODALITIES):
            if (seed, modality) == (2, "t2"):
                continue
            write_volume(folder / f"{modality}.nii", Volume(head(10 * seed + channel), AFFINE))
            images[modality] = file_entry(folder / f"{modality}.nii", root)
        mask = None
        if seed != 4:
            write_volume(folder / "seg.nii", Volume(lesion(seed), AFFINE))
            mask = file_entry(folder / "seg.nii", root)
        cases.append(CaseEntry(name=f"case-{seed}", patient=f"p{seed}", images=images, mask=mask, phantom=True))
    return Manifest(layout="folders", cases=tuple(cases), scheme="brats-2023", root=root)


def make_cache(root: Path) -> Cache:
    return build_cache(
        make_manifest(root / "data"), root / "cache", CacheConfig(preprocess=PreprocessConfig(spacing_mm=3.0))
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Not to be damaged."""
    return make_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def own_cache(tmp_path: Path) -> Cache:
    """To be damaged."""
    return make_cache(tmp_path)
