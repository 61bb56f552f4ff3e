import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
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


CT_AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2, 0, 40], [0, 0, 5, -60], [0, 0, 0, 1]])
PET_AFFINE = np.array([[-4.0, 0, 0, 27], [0, -4, 0, 33], [0, 0, 4, -50], [0, 0, 0, 1]])


def save_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)


def body(seed: int, shape: tuple[int, int, int] = (32, 40, 24)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT of a cylinder of soft tissue in noisy air, where the left half of it is and where its middle is."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = x**2 + y**2 < 0.6
    voxels = np.where(inside, 50, -1000) + rng.integers(-30, 30, shape)
    return voxels.astype(np.int16), inside & (x < 0), (x**2 + y**2 + z**2) < 0.08


@pytest.fixture
def lits(tmp_path: Path) -> Callable[..., Path]:
    """Write CT of livers as LiTS names them."""

    def write(count: int = 3, *, tumours: bool = True, stray: int | None = None) -> Path:
        root = tmp_path / "lits"
        for seed in range(count):
            voxels, liver, tumour = body(seed)
            mask = liver.astype(np.uint8)
            if tumours:
                mask[tumour & liver] = 2
            if stray is not None:
                mask[20, 20, 10] = stray
            voxels[mask == 1] += 60
            save_nifti(root / f"volume-{seed}.nii", voxels, CT_AFFINE)
            save_nifti(root / f"segmentation-{seed}.nii", mask, CT_AFFINE)
        return root

    return write


@pytest.fixture
def hecktor(tmp_path: Path) -> Callable[..., Path]:
    """Write CT and PET on grids of their own as HECKTOR names them; the mask is on the CT's."""

    def write(count: int = 3, *, nodes: bool = True, without_pet: int | None = None, shift_mm: float = 0.0) -> Path:
        root = tmp_path / "hecktor"
        for seed in range(count):
            voxels, _, tumour = body(10 + seed)
            mask = tumour.astype(np.uint8)
            if nodes:
                mask[6:9, 18:22, 6:9] = 2
            save_nifti(root / "imagesTr" / f"CHUM-{seed:03d}__CT.nii.gz", voxels, CT_AFFINE)
            save_nifti(root / "labelsTr" / f"CHUM-{seed:03d}.nii.gz", mask, CT_AFFINE)
            if seed == without_pet:
                continue
            affine = PET_AFFINE.copy()
            affine[2, 3] += shift_mm
            pet = np.random.default_rng(seed).random((15, 18, 22)).astype(np.float32)
            x, y, z = (np.arange(n) * a + b for n, a, b in zip(pet.shape, np.diag(affine), affine[:3, 3], strict=False))
            hot = (x[:, None, None] + 1) ** 2 + (y[:, None] - 1) ** 2 + (z + 2.5) ** 2 < 15**2
            save_nifti(root / "imagesTr" / f"CHUM-{seed:03d}__PT.nii.gz", pet + 8 * hot.astype(np.float32), affine)
        return root

    return write
