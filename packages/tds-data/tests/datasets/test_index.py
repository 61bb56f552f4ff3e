import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tds_data.datasets import LAYOUTS, index_dataset, load_entry, read_manifest, write_manifest
from tds_data.datasets._pool import default_workers
from tds_data.datasets._tree import scan
from tds_data.errors import DatasetError, GridMismatch, LayoutNotRecognised, UnknownScheme


def names(count: int) -> list[str]:
    return [f"BraTS2021_{number:05d}" for number in range(count)]


def test_hashes_are_those_of_the_files(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.brats(tmp_path, names(2)))
    expected = make.hashes(tmp_path)
    files = [file for case in found.cases for file in case.files]
    assert {file.path: file.sha256 for file in files} == expected
    assert all(file.size_bytes == (tmp_path / file.path).stat().st_size for file in files)


def test_changed_file_with_its_old_time_gets_a_new_hash(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1), suffix=".nii")
    before = index_dataset(tmp_path)
    path = tmp_path / before.cases[0].images["t1"].path
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert index_dataset(tmp_path).cases[0].images["t1"].sha256 != before.cases[0].images["t1"].sha256


def test_index_is_the_same_whatever_the_number_of_workers(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(3))
    assert index_dataset(tmp_path, workers=1) == index_dataset(tmp_path, workers=5)
    assert default_workers() >= 1


def test_progress_counts_every_file(make: SimpleNamespace, tmp_path: Path) -> None:
    heard: list[tuple[int, int, str]] = []
    index_dataset(make.brats(tmp_path, names(2)), progress=lambda *told: heard.append(told))
    assert [done for done, _, _ in heard] == list(range(1, 11))
    assert {(total, what) for _, total, what in heard} == {(10, "hashing")}


def test_error_in_progress_stops_the_work(make: SimpleNamespace, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_dataset(make.brats(tmp_path, names(3)), progress=stop)


def test_missing_sequences_are_noted(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.brats(tmp_path, names(1), sequences=("t1", "flair")))
    assert found.cases[0].notes == ("missing: t1ce, t2",)
    assert load_entry(found, found.cases[0]).modalities == ("t1", "flair")


def test_case_with_an_empty_file_is_told_and_the_others_stay(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(3))
    (tmp_path / "BraTS2021_00001" / "BraTS2021_00001_t2.nii.gz").write_bytes(b"")
    found = index_dataset(tmp_path)
    assert [case.name for case in found.cases] == ["BraTS2021_00000", "BraTS2021_00002"]
    assert found.problems == (
        "BraTS2021_00001/BraTS2021_00001_t2.nii.gz: the file is empty; copy or download it again",
    )
    with pytest.raises(DatasetError, match="1 files or cases"):
        index_dataset(tmp_path, strict=True)


def test_case_with_a_damaged_mask_is_told_and_the_others_stay(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(2))
    path = tmp_path / "BraTS2021_00001" / "BraTS2021_00001_seg.nii.gz"
    path.write_bytes(path.read_bytes()[:30])
    make.brats(tmp_path, ["BraTS2021_00007"], None)
    make.save(tmp_path / "BraTS2021_00007" / "BraTS2021_00007_seg.nii.gz", np.full(make.SHAPE, 0.5, np.float32))
    found = index_dataset(tmp_path)
    assert [case.name for case in found.cases] == ["BraTS2021_00000"]
    assert any("truncated" in problem for problem in found.problems)
    assert any("no whole numbers" in problem for problem in found.problems)


def test_case_with_an_unreadable_file_is_told_and_the_others_stay(
    make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.brats(tmp_path, names(2))
    real = Path.open

    def refuse(self: Path, *args: object, **keywords: object) -> object:
        if self.name == "BraTS2021_00001_t2.nii.gz":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **keywords)  # type: ignore[call-overload]  # passes on what it got

    monkeypatch.setattr(Path, "open", refuse)
    found = index_dataset(tmp_path)
    assert len(found.cases) == 1
    assert "cannot be read (Permission denied)" in found.problems[0]


def test_labels_are_found_in_masks_of_any_type(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1), None)
    for dtype in (np.int16, np.float32):
        array = make.mask((1, 2, 4)).astype(dtype)
        make.save(tmp_path / "BraTS2021_00000" / "BraTS2021_00000_seg.nii.gz", array)
        assert index_dataset(tmp_path).attributes["scheme_told_by"] == "old names: labels 1, 2, 4"


def test_folder_that_cannot_be_opened_is_told(
    make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.brats(tmp_path, names(2))
    real = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "BraTS2021_00001":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = index_dataset(tmp_path)
    assert len(found.cases) == 1
    assert found.problems == ("BraTS2021_00001: the folder cannot be opened (Permission denied)",)
    monkeypatch.setattr(os, "scandir", lambda _: refuse(Path("BraTS2021_00001")))
    with pytest.raises(DatasetError, match="cannot be opened"):
        index_dataset(tmp_path)


def test_links_in_a_circle_do_no_harm(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    (tmp_path / "BraTS2021_00000" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "pipe.nii.gz")
    found = index_dataset(tmp_path)
    assert len(found.cases) == 1
    assert len(found.problems) == 3


def test_link_out_of_the_root_is_told_and_not_read(make: SimpleNamespace, tmp_path: Path) -> None:
    root = tmp_path / "root"
    make.brats(root, names(2))
    secret = make.save(tmp_path / "secret.nii.gz", make.voxels(1))
    path = root / "BraTS2021_00001" / "BraTS2021_00001_t2.nii.gz"
    path.unlink()
    path.symlink_to(secret)
    (root / "elsewhere").symlink_to(tmp_path)
    (root / "nowhere.nii.gz").symlink_to(tmp_path / "absent")
    found = index_dataset(root)
    assert [case.name for case in found.cases] == ["BraTS2021_00000"]
    assert any("leaves the root" in problem for problem in found.problems)
    assert any("link to a folder is not followed" in problem for problem in found.problems)
    assert any("leads nowhere" in problem for problem in found.problems)


def test_link_within_the_root_is_taken(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    path = tmp_path / "BraTS2021_00000" / "BraTS2021_00000_t2.nii.gz"
    path.rename(tmp_path / "annexed")
    path.symlink_to("../annexed")
    assert index_dataset(tmp_path).problems == ()


def test_hidden_files_and_what_archives_leave_are_passed_over(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    (tmp_path / "BraTS2021_00000" / "._BraTS2021_00000_t1.nii.gz").write_bytes(b"x")
    (tmp_path / "__MACOSX" / "BraTS2021_00009").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "BraTS2021_00009" / "BraTS2021_00009_t1.nii.gz").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / "empty").mkdir()
    found = index_dataset(tmp_path)
    assert len(found.cases) == 1
    assert found.problems == ()


def test_name_that_is_no_text_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    try:
        (tmp_path / "bad\udcff.nii.gz").write_bytes(b"x")
    except OSError:
        pytest.skip("this system has no such names")
    found = index_dataset(tmp_path)
    assert len(found.problems) == 1
    write_manifest(found, tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json").problems == found.problems


def test_case_name_that_no_file_could_have_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    make.brats(tmp_path, ["BraTS2021:00007"])
    found = index_dataset(tmp_path)
    assert len(found.cases) == 1
    assert "can name a file on every system" in found.problems[0]


def test_cases_of_one_name_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path / "a", names(1))
    make.brats(tmp_path / "b", ["BraTS2021_00000", "BraTS2021_00001"])
    found = index_dataset(tmp_path)
    assert len(found.cases) == 2
    assert any("another case is called 'BraTS2021_00000' as well" in problem for problem in found.problems)


def test_images_with_the_same_bytes_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(2))
    source = tmp_path / "BraTS2021_00000" / "BraTS2021_00000_t1.nii.gz"
    (tmp_path / "BraTS2021_00001" / "BraTS2021_00001_t1.nii.gz").write_bytes(source.read_bytes())
    found = index_dataset(tmp_path)
    assert len(found.cases) == 2
    assert "has the same content" in found.problems[0]


def test_images_of_no_case_are_told(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    for number in range(6):
        make.save(tmp_path / "BraTS2021_00007" / f"scan {number}.nii.gz", make.voxels(number))
    found = index_dataset(tmp_path)
    assert found.problems == ()
    assert found.attributes["unused_images"].startswith("6: BraTS2021_00007/scan 0.nii.gz, ")
    assert found.attributes["unused_images"].endswith("scan 4.nii.gz, ...")


def test_phantoms_are_known_by_their_names(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, ["phantom-0001", "BraTS2021_00000"], (1, 2))
    assert [case.phantom for case in index_dataset(tmp_path).cases] == [False, True]


def test_folder_without_images_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("x", encoding="utf-8")
    with pytest.raises(LayoutNotRecognised, match="0 images among 1 files"):
        index_dataset(tmp_path)
    with pytest.raises(DatasetError, match="there is no folder"):
        index_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match="there is no folder"):
        index_dataset(tmp_path / "readme.txt")


def test_set_in_which_nothing_can_be_taken_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    for path in tmp_path.rglob("*.nii.gz"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cannot be taken.*empty"):
        index_dataset(tmp_path)


def test_unknown_scheme_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UnknownScheme):
        index_dataset(tmp_path / "absent", scheme="surprise")


def test_scheme_that_is_named_takes_the_place_of_the_declared_one(make: SimpleNamespace, tmp_path: Path) -> None:
    make.nnunet(tmp_path)
    found = index_dataset(tmp_path, scheme="decathlon-brain")
    assert found.scheme == "decathlon-brain"
    assert dict(found.labels) == {}
    kept = index_dataset(tmp_path, scheme="brats-2023")
    assert dict(kept.labels) == {"NCR": (1,), "ED": (2,), "ET": (3,)}


def test_case_on_two_grids_is_indexed_and_refused_when_loaded(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path, names(1))
    make.save(tmp_path / "BraTS2021_00000" / "BraTS2021_00000_t2.nii.gz", make.voxels(1, (9, 9, 9)))
    found = index_dataset(tmp_path)
    with pytest.raises(GridMismatch):
        load_entry(found, found.cases[0])


def test_image_that_a_stack_does_not_have_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.decathlon(tmp_path))
    make.save(tmp_path / "imagesTr" / "BRATS_001.nii.gz", make.voxels(0, (*make.SHAPE, 3)))
    with pytest.raises(DatasetError, match="holds 3 images, and number 3 is asked for"):
        load_entry(found, found.cases[0])


def test_stack_in_place_of_one_image_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    found = index_dataset(make.brats(tmp_path, names(1)))
    make.save(tmp_path / found.cases[0].images["t1"].path, make.voxels(0, (*make.SHAPE, 3)))
    with pytest.raises(DatasetError, match="holds 3 images, and one is asked for"):
        load_entry(found, found.cases[0])


def test_every_layout_is_known() -> None:
    assert set(LAYOUTS) == {"decathlon", "nnunet", "bids", "hecktor", "lits", "brats", "folders"}


def test_ten_thousand_files_are_walked_in_seconds(make: SimpleNamespace, tmp_path: Path) -> None:
    payload = make.save(tmp_path / "one.nii", make.voxels(1)).read_bytes()
    for number in range(2500):
        folder = tmp_path / "set" / f"BraTS2021_{number:05d}"
        folder.mkdir(parents=True)
        for end in ("_t1", "_t1ce", "_t2", "_flair"):
            (folder / f"{folder.name}{end}.nii").write_bytes(payload + number.to_bytes(4, "little") + end.encode())
    start = time.process_time()
    tree = scan(tmp_path / "set")
    assert len(tree.files) == 10_000
    found = index_dataset(tmp_path / "set", workers=2)
    assert len(found.cases) == 2500
    assert found.problems == ()
    assert time.process_time() - start < 30  # about two seconds on a quiet machine


@pytest.mark.real_data
def test_real_patients_are_indexed_with_enhancing_tumour_as_4(real_patients: list[Path]) -> None:
    found = index_dataset(real_patients[0].parent)
    assert (found.layout, found.scheme, found.problems) == ("brats", "brats-2021", ())
    assert [case.name for case in found.cases] == [path.name for path in real_patients]
    case = load_entry(found, found.cases[1])
    assert set(np.unique(case.reference.voxels)) <= {0, 1, 2, 3}
