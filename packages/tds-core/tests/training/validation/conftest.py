import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_core.training.config import DataConfig, DatasetConfig, NetworkConfig, Precision, SamplingConfig, TrainingConfig
from tds_data import PreprocessConfig, write_volume
from tds_data.cache import CacheConfig, CachedCase, build_cache
from tds_data.datasets import CaseEntry, FileEntry, Manifest
from tds_data.testing import draw_brain

PATCH = (16, 16, 16)
SMALL = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}


def _entry(path: Path, root: Path) -> FileEntry:
    data = path.read_bytes()
    name = path.relative_to(root).as_posix()
    return FileEntry(path=name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


@pytest.fixture(scope="session")
def cached(tmp_path_factory: pytest.TempPathFactory) -> tuple[CachedCase, ...]:
    """Three drawn heads at 6 mm, the last a phantom."""
    root = tmp_path_factory.mktemp("drawn")
    entries = []
    for seed in range(3):
        case = draw_brain(shape=(30, 37, 32), spacing_mm=6.0, seed=seed)
        images: dict[str, FileEntry] = {}
        for modality, volume in case.images.items():
            write_volume(root / f"{seed}-{modality}.nii", volume)
            images[modality] = _entry(root / f"{seed}-{modality}.nii", root)
        assert case.reference is not None
        write_volume(root / f"{seed}-seg.nii", case.reference)
        mask = _entry(root / f"{seed}-seg.nii", root)
        entries.append(CaseEntry(name=f"head-{seed}", patient=f"p{seed}", images=images, mask=mask, phantom=seed == 2))
    manifest = Manifest(layout="brats", cases=tuple(entries), scheme="brats-2023", root=root)
    config = CacheConfig(preprocess=PreprocessConfig(spacing_mm=6.0))
    return build_cache(manifest, root / "cache", config).cases


@pytest.fixture
def make_config() -> Callable[..., TrainingConfig]:
    def make(**changes: object) -> TrainingConfig:
        settings: dict[str, object] = {
            "name": "small",
            "data": DataConfig(datasets=(DatasetConfig(phantoms=3),), spacing_mm=6.0),
            "network": NetworkConfig(options=SMALL),
            "sampling": SamplingConfig(patch=PATCH, batch=1),
            "precision": Precision.FP32,
        }
        return TrainingConfig(**{**settings, **changes})  # type: ignore[arg-type]  # from a table

    return make
