from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tds_clinical.testing import write_classic_study
from tds_data.case import Case
from tds_data.vocabulary import MODALITIES
from tds_data.volume import Volume


@pytest.fixture
def oblique_affine() -> NDArray[np.float64]:
    turn = np.deg2rad(25.0)
    cosines = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = cosines * (0.9, 1.1, 4.0)
    affine[:3, 3] = (-31.5, 12.25, 70.0)
    return affine


@pytest.fixture
def volume(oblique_affine: NDArray[np.float64]) -> Volume:
    voxels = np.random.default_rng(7).integers(0, 2000, (6, 5, 4)).astype(np.uint16)
    return Volume(voxels, oblique_affine)


@pytest.fixture
def case(volume: Volume) -> Case:
    images = {modality: volume.with_voxels(volume.voxels + 10 * n) for n, modality in enumerate(MODALITIES)}
    return Case(name="phantom", images=images)


@pytest.fixture
def study_folder(case: Case, tmp_path: Path) -> Path:
    write_classic_study(case, tmp_path / "study")
    return tmp_path / "study"
