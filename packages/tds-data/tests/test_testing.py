import numpy as np
import pytest

from tds_data import MODALITIES, Modality, Severity, check_case
from tds_data.testing import draw_brain


def test_drawn_brain_passes_the_gate_and_is_the_same_every_time() -> None:
    brain = draw_brain(seed=2)
    assert [flag for flag in check_case(brain) if flag.severity is Severity.ERROR] == []
    again = draw_brain(seed=2)
    assert brain.modalities == MODALITIES
    assert all(np.array_equal(brain.images[m].voxels, again.images[m].voxels) for m in MODALITIES)
    assert not np.array_equal(draw_brain(seed=3).grid.voxels, brain.grid.voxels)


@pytest.mark.parametrize(("spacing_mm", "shape"), [(4.0, (50, 56, 48)), (2.0, (100, 110, 96))])
def test_size_in_the_world_does_not_depend_on_the_grid(spacing_mm: float, shape: tuple[int, int, int]) -> None:
    brain = draw_brain(shape=shape, spacing_mm=spacing_mm, modalities=[Modality.T1])
    usual = draw_brain(modalities=[Modality.T1])

    def volume_ml(voxels: np.ndarray, voxel_ml: float) -> float:
        return np.count_nonzero(voxels) * voxel_ml

    assert brain.grid.shape == shape
    for one, other in ((brain.grid, usual.grid), (brain.reference, usual.reference)):
        ours, theirs = (volume_ml(v.voxels, v.voxel_volume_ml) for v in (one, other))
        assert ours == pytest.approx(theirs, rel=0.1)


def test_lesion_is_on_the_right_side_and_inside() -> None:
    brain = draw_brain()
    places = np.argwhere(brain.reference.voxels)
    x, _, _ = brain.grid.ras_from_voxel[:3, :3] @ places.mean(axis=0) + brain.grid.ras_from_voxel[:3, 3]
    assert x == pytest.approx(34, abs=1.5)
    assert (brain.grid.voxels[tuple(places.T)] > 0).all()
