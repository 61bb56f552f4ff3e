from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_core.errors import ConfigError
from tds_core.training.planning import Source, take_fingerprint
from tds_data.datasets import index_dataset
from tds_data.errors import UnusableCase
from tds_data.task import LIVER_TUMOUR

AFFINE = np.diag([-2.0, 2.0, 4.0, 1.0])


def write_lits(root: Path, count: int, *, tumours: bool = True, masks: bool = True) -> Path:
    root.mkdir()
    for seed in range(count):
        voxels = np.full((20, 24, 16), -1000, np.int16)
        voxels[2:18, 4:20, 1:15] = 100 + seed
        mask = np.zeros(voxels.shape, np.uint8)
        mask[4:12, 6:16, 4:12] = 1
        if tumours:
            mask[5:7, 7:9, 5:7] = 2
            mask[9:10, 12:14, 8:10] = 2
        nib.save(nib.Nifti1Image(voxels, AFFINE), root / f"volume-{seed}.nii")
        if masks:
            nib.save(nib.Nifti1Image(mask, AFFINE), root / f"segmentation-{seed}.nii")
    return root


def test_data_set_is_described_in_its_own_units(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    found = take_fingerprint(
        [Source(manifest=index_dataset(write_lits(tmp_path / "lits", 3)), others={})],
        LIVER_TUMOUR,
        progress=lambda done, total, _: heard.append((done, total)),
    )
    first = found.cases[0]
    assert (first.spacing_mm, first.whole, first.shape) == ((2.0, 2.0, 4.0), (20, 24, 16), (16, 16, 14))
    assert first.foreground_share == 1.0
    assert first.intensities == {"ct": (100.0, 100.0, 100.0)}
    assert first.label_ml["tumour"] == pytest.approx(12 * 0.016)
    assert sorted(first.lesions_ml["tumour"]) == [pytest.approx(4 * 0.016), pytest.approx(8 * 0.016)]
    assert len(first.lesions_ml["liver"]) == 1
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert found.shapes_at((4.0, 4.0, 4.0)).tolist() == [[8, 8, 14]] * 3
    summary = found.to_dict()
    assert (summary["labelled"], summary["looked_at"]) == (3, 3)
    assert summary["regions"]["tumour"] == {
        "cases": 3, "median_parts": 2, "smallest_ml": 0.064, "median_ml": 0.096,
    }  # fmt: skip
    assert summary["labels"]["liver"]["cases"] == 3
    assert summary["intensities"]["ct"]["median"] == 101


def test_of_many_cases_every_so_many_are_looked_at(tmp_path: Path) -> None:
    manifest = index_dataset(write_lits(tmp_path / "lits", 7))
    found = take_fingerprint([Source(manifest=manifest, others={})], LIVER_TUMOUR, most=3)
    assert [case.name for case in found.cases] == ["volume-0", "volume-3", "volume-6"]
    assert found.labelled == 7


def test_several_data_sets_are_looked_at_together(tmp_path: Path) -> None:
    manifests = [index_dataset(write_lits(tmp_path / name, 2)) for name in ("a", "b")]
    found = take_fingerprint([Source(manifest=m, others={}) for m in manifests], LIVER_TUMOUR)
    assert found.labelled == 4


def test_label_that_no_case_has_is_found(tmp_path: Path) -> None:
    manifest = index_dataset(write_lits(tmp_path / "lits", 2, tumours=False), scheme="lits")
    found = take_fingerprint([Source(manifest=manifest, others={})], LIVER_TUMOUR)
    assert found.empty_labels == ("tumour",)
    assert found.missing_channels == ()
    assert found.to_dict()["regions"]["tumour"] == {
        "cases": 0, "median_parts": 0, "smallest_ml": None, "median_ml": None,
    }  # fmt: skip


def test_data_set_without_masks_cannot_be_planned_for(tmp_path: Path) -> None:
    manifest = index_dataset(write_lits(tmp_path / "lits", 2, masks=False))
    with pytest.raises(ConfigError, match="none of the 2 cases has a mask"):
        take_fingerprint([Source(manifest=manifest, others={})], LIVER_TUMOUR)


def test_case_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = write_lits(tmp_path / "lits", 2)
    manifest = index_dataset(root)
    (root / "volume-1.nii").write_bytes(b"no image")
    with pytest.raises(UnusableCase, match="volume-1"):
        take_fingerprint([Source(manifest=manifest, others={})], LIVER_TUMOUR)
