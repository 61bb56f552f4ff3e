"""Files that cannot be read, changed since they were indexed, or contradict themselves."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_data import Case, Severity, write_volume
from tds_data.datasets import index_dataset
from tds_data.datasets.manifest import FileEntry, Manifest
from tds_data.quality.files import FileReader

Dataset = Callable[..., Path]


@pytest.fixture
def indexed(dataset: Dataset) -> Manifest:
    return index_dataset(dataset(one=None))


def found(manifest: Manifest, subject: str = "t1") -> dict[str, str | None]:
    reader = FileReader(manifest=manifest)
    reader.read(manifest.cases[0].images[subject], subject)
    assert all(flag.subject == subject for flag in reader.flags)
    return {flag.code: flag.value for flag in reader.flags}


def rewrite(path: Path, change: Callable[[nib.Nifti1Header], None]) -> None:
    image = nib.load(path)
    data = np.asanyarray(image.dataobj)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    header = image.header.copy()
    change(header)
    raw[: len(header.binaryblock)] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(raw)))
    assert data.shape == image.shape


def test_file_as_it_was_indexed_is_read_without_findings(indexed: Manifest) -> None:
    reader = FileReader(manifest=indexed)
    volume = reader.read(indexed.cases[0].images["t1"], "t1")
    assert volume is not None
    assert reader.flags == []


def test_absent_file_is_unreadable(indexed: Manifest) -> None:
    (indexed.root / "one" / "t1.nii.gz").unlink()
    assert found(indexed) == {"UNREADABLE": "No such file or directory"}


def test_truncated_file_is_unreadable_and_changed(indexed: Manifest) -> None:
    path = indexed.root / "one" / "t1.nii.gz"
    path.write_bytes(path.read_bytes()[:2000])
    values = found(indexed)
    assert set(values) == {"FILE-CHANGED", "UNREADABLE"}
    assert values["FILE-CHANGED"].startswith("2000 bytes, not ")
    assert "truncated" in values["UNREADABLE"]


def test_another_file_of_the_same_length_is_changed(indexed: Manifest) -> None:
    path = indexed.root / "one" / "t1.nii.gz"
    data = bytearray(path.read_bytes())
    data[4] ^= 1  # the time in the gzip header
    path.write_bytes(bytes(data))
    values = found(indexed)
    assert set(values) == {"FILE-CHANGED"}
    assert values["FILE-CHANGED"].startswith("SHA-256 ")


def test_path_that_leaves_the_root_through_a_link_is_unreadable(indexed: Manifest, tmp_path: Path) -> None:
    path = indexed.root / "one" / "t1.nii.gz"
    outside = tmp_path / "outside.nii.gz"
    path.rename(outside)
    path.symlink_to(outside)
    assert "leaves the root" in str(found(indexed)["UNREADABLE"])


@pytest.mark.parametrize(("shift_mm", "is_named"), [(1.0, False), (4.0, True)])
def test_forms_that_disagree_by_half_a_voxel_are_named(dataset: Dataset, shift_mm: float, *, is_named: bool) -> None:
    root = dataset(one=None)

    def shift(header: nib.Nifti1Header) -> None:
        header["qoffset_x"] = header["qoffset_x"] + shift_mm

    rewrite(root / "one" / "t1.nii.gz", shift)
    values = found(index_dataset(root))
    assert values == ({"SFORM-QFORM-MISMATCH": "4 mm apart"} if is_named else {})


def test_header_without_sform_and_qform_is_named(dataset: Dataset) -> None:
    root = dataset(one=None)

    def forget(header: nib.Nifti1Header) -> None:
        header["sform_code"] = header["qform_code"] = 0

    rewrite(root / "one" / "t1.nii.gz", forget)
    assert found(index_dataset(root)) == {"NO-ORIENTATION": None}


def test_file_of_several_volumes_is_read_once(textured: Case, tmp_path: Path) -> None:
    stack = np.stack([v.voxels for v in textured.images.values()], axis=-1)
    nib.save(nib.Nifti1Image(stack, textured.grid.ras_from_voxel), tmp_path / "four.nii.gz")
    data = (tmp_path / "four.nii.gz").read_bytes()
    manifest = Manifest(layout="x", cases=(), scheme="none", root=tmp_path)
    entries = [FileEntry(path="four.nii.gz", sha256="0" * 64, size_bytes=len(data), index=i) for i in (0, 3, 4)]
    reader = FileReader(manifest=manifest)
    first, last, none = (reader.read(entry, f"s{i}") for i, entry in enumerate(entries))
    assert first is not None
    assert last is not None
    assert np.array_equal(last.voxels, stack[..., 3])
    assert none is None
    assert [(flag.code, flag.subject) for flag in reader.flags] == [("FILE-CHANGED", "s0"), ("UNREADABLE", "s2")]
    assert reader.flags[0].severity is Severity.ERROR


def test_every_sequence_of_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "four.nii.gz").write_bytes(b"not an image")
    manifest = Manifest(layout="x", cases=(), scheme="none", root=tmp_path)
    reader = FileReader(manifest=manifest)
    for index, name in enumerate(("t1", "t2")):
        entry = FileEntry(path="four.nii.gz", sha256="0" * 64, size_bytes=12, index=index)
        assert reader.read(entry, name) is None
    assert [f.subject for f in reader.flags if f.code == "UNREADABLE"] == ["t1", "t2"]


def test_messages_name_no_folder(indexed: Manifest, textured: Case) -> None:
    write_volume(indexed.root / "one" / "t1.nii.gz", textured.grid.with_voxels(textured.grid.voxels * 0))
    (indexed.root / "one" / "t2.nii.gz").write_bytes(b"damaged")
    reader = FileReader(manifest=indexed)
    for name, entry in indexed.cases[0].images.items():
        reader.read(entry, name)
    assert {flag.code for flag in reader.flags} == {"FILE-CHANGED", "UNREADABLE"}
    assert all(str(indexed.root) not in f"{flag.message} {flag.value}" for flag in reader.flags)
