from pathlib import Path

import numpy as np
import pytest

from tds_clinical.dicom import read_sequences
from tds_clinical.testing import RAW_ACQUISITIONS, write_raw_study
from tds_data import Case, Modality, Volume

HEAD = np.diag([4.0, 4.0, 4.0, 1.0])


@pytest.fixture
def head() -> Case:
    rng = np.random.default_rng(3)
    shape = (30, 36, 28)
    images = {m: Volume(rng.integers(1, 900, shape).astype(np.float32), HEAD) for m in Modality}
    truth = np.zeros(shape, np.uint8)
    truth[10:18, 12:20, 9:15] = 2
    truth[12:16, 14:18, 11:13] = 3
    return Case(name="head", images=images, reference=Volume(truth, HEAD))


def test_each_sequence_is_read_back_on_its_own_grid_with_the_whole_head_on_it(head: Case, tmp_path: Path) -> None:
    truth = write_raw_study(head, tmp_path)
    images = read_sequences(tmp_path).images
    assert set(images) == set(Modality)
    for modality, how in RAW_ACQUISITIONS.items():
        assert sorted(images[modality].spacing_mm) == pytest.approx(sorted(how.spacing_mm), abs=1e-4)
    assert truth is not None
    assert truth.same_grid(images[Modality.T1CE])
    assert head.reference is not None
    for label in (2, 3):
        placed = np.count_nonzero(truth.voxels == label) * truth.voxel_volume_ml
        drawn = np.count_nonzero(head.reference.voxels == label) * head.reference.voxel_volume_ml
        assert placed == pytest.approx(drawn, rel=0.1)


def test_without_a_reference_there_is_no_truth(head: Case, tmp_path: Path) -> None:
    case = Case(name="head", images={Modality.T2: head.images[Modality.T2]})
    assert write_raw_study(case, tmp_path) is None
    assert list(read_sequences(tmp_path).images) == [Modality.T2]
