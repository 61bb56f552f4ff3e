import logging
from pathlib import Path

import numpy as np
import pytest

from tds_data import LabelError, Volume, read_reference, translate_labels
from tds_data.formats import write_image


def mask(*values: float, dtype: str = "uint8") -> Volume:
    return Volume(np.array(values, dtype=dtype).reshape(-1, 1, 1), np.eye(4))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_older_coding_is_translated_and_logged(dtype: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        labels = translate_labels(mask(0, 1, 2, 4, dtype=dtype)).voxels
    assert labels.dtype == np.uint8
    assert labels.ravel().tolist() == [0, 1, 2, 3]
    assert "labels_translated" in caplog.text


def test_current_coding_is_kept(tmp_path: Path) -> None:
    for name in ("seg.nii.gz", "seg.nrrd", "seg.mha"):
        write_image(tmp_path / name, mask(0, 1, 2, 3, dtype="int16"))
        assert read_reference(tmp_path / name).voxels.ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((0, 3, 4), "both label 3 and label 4"),
        ((0, 7, 9), r"outside 0 to 4 \(7, 9\)"),
        ((0, -1), r"\(-1\)"),
        ((0, 0.5), "no whole numbers"),
        ((0, np.nan), "no whole numbers"),
    ],
)
def test_other_values_are_refused(values: tuple[float, ...], reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        translate_labels(mask(*values, dtype="float32"))


@pytest.mark.real_data
def test_real_masks_hold_labels_0_to_3(real_patients: list[Path]) -> None:
    labels = read_reference(next(real_patients[1].glob("*_seg.nii.gz"))).voxels
    assert set(np.unique(labels)) == {0, 1, 2, 3}
