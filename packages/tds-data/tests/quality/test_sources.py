"""From a path to the data set to check."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import Case, write_volume
from tds_data.datasets import write_manifest
from tds_data.errors import DataError
from tds_data.quality.entries import CaseTask, check_entry
from tds_data.quality.sources import open_source

Dataset = Callable[..., Path]
Noisier = Callable[[int], Case]


def mask(case: Case, value: float, kind: type = np.uint8) -> Case:
    voxels = np.zeros(case.grid.shape, kind)
    voxels[20:26, 20:26, 20:26] = value
    return Case(name="x", images=case.images, reference=case.grid.with_voxels(voxels))


def found(root: Path, name: str) -> set[str]:
    manifest = open_source(root).manifest
    return {flag.code for flag in check_entry(CaseTask.of(manifest, manifest.case(name), is_pictured=False)).flags}


def test_folder_is_indexed_and_manifest_is_read_as_it_is(dataset: Dataset, noisier: Noisier, tmp_path: Path) -> None:
    root = dataset(a=noisier(1))
    heard: list[str] = []
    source = open_source(root, progress=lambda _done, _total, what: heard.append(what))
    assert source.flags == ()
    assert heard
    write_manifest(source.manifest, tmp_path / "manifest.json")
    (root / "a" / "t1.nii.gz").unlink()
    assert open_source(tmp_path / "manifest.json").manifest.digest == source.manifest.digest


def test_one_strange_label_does_not_hide_the_other_cases(dataset: Dataset, noisier: Noisier) -> None:
    root = dataset(a=noisier(1), b=mask(noisier(2), 7))
    source = open_source(root)
    assert [flag.code for flag in source.flags] == ["SCHEME-UNDECIDED"]
    assert "--scheme" in source.flags[0].message
    assert "LABELS-OUTSIDE-SCHEME" in found(root, "b")
    assert "LABELS-OUTSIDE-SCHEME" not in found(root, "a")


def test_scheme_that_is_named_is_taken(dataset: Dataset, noisier: Noisier) -> None:
    root = dataset(a=mask(noisier(1), 7))
    source = open_source(root, scheme="brats-2023", layout="folders")
    assert (source.flags, source.manifest.scheme) == ((), "brats-2023")


@pytest.mark.parametrize("fault", ["damaged", "fractions"])
def test_case_whose_mask_cannot_be_read_is_checked_all_the_same(dataset: Dataset, noisier: Noisier, fault: str) -> None:
    root = dataset(a=noisier(1), b=mask(noisier(2), 2))
    path = root / "b" / "seg.nii.gz"
    if fault == "damaged":
        path.write_bytes(path.read_bytes()[:300])
    else:
        broken = mask(noisier(2), 0.5, np.float32)
        write_volume(path, broken.reference)
    source = open_source(root)
    assert [case.name for case in source.manifest.cases] == ["a", "b"]
    assert source.flags == ()
    assert ("UNREADABLE" if fault == "damaged" else "LABELS-OUTSIDE-SCHEME") in found(root, "b")


def test_problems_of_a_manifest_are_findings(dataset: Dataset, noisier: Noisier) -> None:
    root = dataset(a=noisier(1), b=noisier(2))
    (root / "b" / "t1.nii.gz").write_bytes(b"")
    flags = open_source(root).flags
    assert [flag.code for flag in flags] == ["INDEX-PROBLEM"]
    assert flags[0].message.startswith("b/t1.nii.gz: the file is empty")


def test_folder_without_a_data_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        open_source(tmp_path)
