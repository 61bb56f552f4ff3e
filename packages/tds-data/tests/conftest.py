import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import MODALITIES, Case, Volume, write_volume

AFFINE = np.array([[-3.0, 0, 0, 70], [0, -3, 0, 80], [0, 0, 3, -50], [0, 0, 0, 1]])


def head_voxels(shape: tuple[int, int, int] = (48, 56, 40), *, seed: int = 0) -> np.ndarray:
    """A stripped head at 3 mm: an ellipsoid of about 900 mL, brighter on one side, on zero background."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.75
    noise = np.random.default_rng(seed).integers(0, 50, shape)
    return np.where(inside, 200 + 100 * (x > 0.1) + noise, 0).astype(np.int16)


@pytest.fixture
def head() -> Volume:
    return Volume(head_voxels(), AFFINE)


@pytest.fixture
def case() -> Case:
    return Case(name="head", images={m: Volume(head_voxels(seed=i), AFFINE) for i, m in enumerate(MODALITIES)})


@pytest.fixture
def touch(head: Volume, tmp_path: Path) -> Callable[..., Path]:
    """Write a small volume under each of the names and return their folder."""
    small = Volume(head.voxels[::8, ::8, ::8], head.ras_from_voxel)

    def write(*names: str, inside: str = "study") -> Path:
        folder = tmp_path / inside
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_volume(folder / name, small)
        return folder

    return write


@pytest.fixture(scope="session")
def real_patients() -> list[Path]:
    root = Path(os.environ.get("TDS_REAL_DATA", "")) / "brats"
    if "TDS_REAL_DATA" not in os.environ or not root.is_dir():
        pytest.skip("real patients are absent: set TDS_REAL_DATA to their folder")
    return sorted(p for p in root.iterdir() if p.is_dir())
