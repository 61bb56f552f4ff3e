import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from tds_data import VolumeReadError, VolumeWriteError
from tds_data.datasets import (
    ConvertOptions,
    Manifest,
    convert_dataset,
    index_dataset,
    read_manifest,
    write_manifest,
)
from tds_data.errors import ConversionRefused, DatasetError, ManifestError, UnknownScheme

NAMES = ["BraTS2021_00001", "BraTS2021_00002"]


@pytest.fixture
def source(make: SimpleNamespace, tmp_path: Path) -> Manifest:
    found: Manifest = index_dataset(make.brats(tmp_path / "start", NAMES))
    return found


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_brats_becomes_the_decathlons_task_01(source: Manifest, tmp_path: Path) -> None:
    done = convert_dataset(source, tmp_path / "out", "decathlon")
    assert (done.cases, dict(done.files)) == (2, {"recoded": 4})
    assert done.notes == ("masks are renumbered from brats-2021 to decathlon-brain: NCR 1 to 2, ED 2 to 1, ET 4 to 3",)
    assert below(tmp_path / "out") == [
        "dataset.json",
        "imagesTr/BraTS2021_00001.nii.gz",
        "imagesTr/BraTS2021_00002.nii.gz",
        "labelsTr/BraTS2021_00001.nii.gz",
        "labelsTr/BraTS2021_00002.nii.gz",
    ]
    whole = nib.load(tmp_path / "out/imagesTr/BraTS2021_00001.nii.gz")
    flair = nib.load(tmp_path / "start/BraTS2021_00001/BraTS2021_00001_flair.nii.gz")
    np.testing.assert_array_equal(whole.get_fdata()[..., 0], flair.get_fdata())
    np.testing.assert_array_equal(whole.affine, flair.affine)


def test_channels_of_brain_mri_come_in_the_order_of_task_01(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.nnunet(tmp_path / "start"))
    assert list(manifest.cases[0].images) == ["t1", "t1ce", "t2", "flair"]
    convert_dataset(manifest, tmp_path / "out", "decathlon")
    document = json.loads((tmp_path / "out/dataset.json").read_text(encoding="utf-8"))
    assert document["modality"] == {"0": "FLAIR", "1": "T1", "2": "T1ce", "3": "T2"}
    whole = nib.load(tmp_path / "out/imagesTr/a_001.nii.gz").get_fdata()
    for number, channel in enumerate((3, 0, 1, 2)):
        source = nib.load(tmp_path / f"start/imagesTr/a_001_{channel:04d}.nii.gz").get_fdata()
        np.testing.assert_array_equal(whole[..., number], source)


def test_new_names_and_old_names_of_brats_follow_the_scheme(source: Manifest, tmp_path: Path) -> None:
    convert_dataset(source, tmp_path / "new", "brats", scheme="brats-2023")
    assert "BraTS2021_00001/BraTS2021_00001-t1n.nii.gz" in below(tmp_path / "new")
    assert "BraTS2021_00001/BraTS2021_00001-seg.nii.gz" in below(tmp_path / "new")
    convert_dataset(index_dataset(tmp_path / "new"), tmp_path / "old", "brats", scheme="brats-2021")
    assert below(tmp_path / "old") == [*below(tmp_path / "start"), "labels.tsv"]


def test_progress_tells_every_file(source: Manifest, tmp_path: Path) -> None:
    heard: list[tuple[int, int, str]] = []
    convert_dataset(source, tmp_path / "out", "nnunet", progress=lambda *told: heard.append(told))
    assert {what for _, _, what in heard} == {"comparing grids", "writing"}
    assert heard[-1][:2] == (10, 10)


def test_links_take_the_place_of_copies_when_asked(source: Manifest, tmp_path: Path) -> None:
    done = convert_dataset(source, tmp_path / "out", "nnunet", options=ConvertOptions(link=True))
    assert dict(done.files) == {"linked": 8, "recoded": 2}
    first = tmp_path / "start/BraTS2021_00001/BraTS2021_00001_t1.nii.gz"
    assert first.samefile(tmp_path / "out/imagesTr/BraTS2021_00001_0000.nii.gz")


def test_nothing_is_linked_unless_asked(source: Manifest, tmp_path: Path) -> None:
    convert_dataset(source, tmp_path / "out", "brats")
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "out").rglob("*.gz"))


def test_disk_without_links_copies_and_says_so(
    source: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    done = convert_dataset(source, tmp_path / "out", "brats", options=ConvertOptions(link=True))
    assert dict(done.files) == {"copied": 10}
    assert done.notes == ("10 files were copied, since the disk does not link them",)


def test_gzip_is_added_where_the_layout_has_one_suffix(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path / "start", NAMES[:1], suffix=".nii")
    make.brats(tmp_path / "start", NAMES[1:])
    manifest = index_dataset(tmp_path / "start")
    done = convert_dataset(manifest, tmp_path / "out", "nnunet")
    assert dict(done.files) == {"copied": 4, "packed": 4, "recoded": 2}
    assert make.meaning(index_dataset(tmp_path / "out")) == make.meaning(manifest)


def test_files_without_gzip_stay_so(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.brats(tmp_path / "start", NAMES, (1, 2, 3), suffix=".nii"))
    convert_dataset(manifest, tmp_path / "out", "nnunet")
    assert all(name.endswith((".nii", ".json")) for name in below(tmp_path / "out"))


def test_images_that_are_asked_for_are_kept_alone(source: Manifest, tmp_path: Path) -> None:
    options = ConvertOptions(sequences=("t1ce", "flair"))
    done = convert_dataset(source, tmp_path / "out", "nnunet", options=options)
    assert done.notes[0] == "left out as asked: t1, t2"
    assert list(index_dataset(tmp_path / "out").cases[0].images) == ["t1ce", "flair"]


def test_one_image_of_a_stack_is_kept_alone(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.decathlon(tmp_path / "start"))
    options = ConvertOptions(sequences=("flair", "t1", "t1ce"))
    convert_dataset(manifest, tmp_path / "out", "decathlon", options=options)
    found = index_dataset(tmp_path / "out")
    assert list(found.cases[0].images) == ["flair", "t1", "t1ce"]
    expected = make.meaning(manifest)["BRATS_001"].images
    assert make.meaning(found)["BRATS_001"].images == {key: expected[key] for key in found.cases[0].images}


def test_cases_without_an_image_that_is_kept_are_left_out(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path / "start", NAMES[:1])
    make.brats(tmp_path / "start", NAMES[1:], sequences=("t1",))
    manifest = index_dataset(tmp_path / "start")
    done = convert_dataset(manifest, tmp_path / "out", "brats", options=ConvertOptions(sequences=("t2",)))
    assert done.cases == 1
    assert "1 cases have none of these images and are left out" in done.notes
    with pytest.raises(ConversionRefused, match="no case has an image among ct"):
        convert_dataset(manifest, tmp_path / "ct", "brats", options=ConvertOptions(sequences=("ct",)))


def test_files_that_stay_behind_are_told(source: Manifest, tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / "start" / f"{name}.pdf").write_text("x", encoding="utf-8")
    done = convert_dataset(source, tmp_path / "out", "brats")
    assert done.notes == ("4 files that are no images of a case stay behind: a.pdf, b.pdf, c.pdf, ...",)


@pytest.mark.parametrize("layout", ["nnunet", "decathlon"])
def test_missing_images_are_refused_where_channels_are_fixed(
    layout: str, make: SimpleNamespace, tmp_path: Path
) -> None:
    make.brats(tmp_path / "start", NAMES[:1])
    make.brats(tmp_path / "start", NAMES[1:], sequences=("t1", "flair"))
    manifest = index_dataset(tmp_path / "start")
    with pytest.raises(ConversionRefused, match=r"'BraTS2021_00002' lacks.*--sequences (t1,flair|flair,t1)\)"):
        convert_dataset(manifest, tmp_path / "out", layout)
    assert not (tmp_path / "out").exists()


def test_cases_that_share_no_image_are_refused_without_that_way(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path / "start", NAMES[:1], sequences=("t2",))
    make.brats(tmp_path / "start", NAMES[1:], sequences=("t1",))
    with pytest.raises(ConversionRefused, match="; convert to brats or bids"):
        convert_dataset(index_dataset(tmp_path / "start"), tmp_path / "out", "nnunet")


def test_time_points_are_refused_by_the_decathlon(make: SimpleNamespace, tmp_path: Path) -> None:
    names = ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101"]
    manifest = index_dataset(make.brats(tmp_path / "start", names, (1, 3), ends=make.NEW))
    with pytest.raises(ConversionRefused, match="1 patients here have several time points; convert to bids"):
        convert_dataset(manifest, tmp_path / "out", "decathlon")


def test_masks_of_test_cases_are_refused_by_the_decathlon(make: SimpleNamespace, tmp_path: Path) -> None:
    make.nnunet(tmp_path / "start")
    for number in range(4):
        make.save(tmp_path / "start" / "imagesTs" / f"x_{number:04d}.nii.gz", make.voxels(60 + number))
    make.save(tmp_path / "start" / "labelsTs" / "x.nii.gz", make.mask((1,)))
    manifest = index_dataset(tmp_path / "start")
    with pytest.raises(ConversionRefused, match=r"no masks for test cases.*'x'.*nnunet"):
        convert_dataset(manifest, tmp_path / "out", "decathlon")
    convert_dataset(manifest, tmp_path / "same", "nnunet")
    assert make.meaning(index_dataset(tmp_path / "same")) == make.meaning(manifest)


def test_cases_without_a_mask_are_put_with_the_test_cases(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path / "start", NAMES[:1])
    make.brats(tmp_path / "start", NAMES[1:], None)
    done = convert_dataset(index_dataset(tmp_path / "start"), tmp_path / "out", "nnunet")
    assert done.notes[0] == "1 cases without a mask are put with the test cases, 'BraTS2021_00002' among them"
    assert index_dataset(tmp_path / "out").case("BraTS2021_00002").attributes == {"split": "test"}


@pytest.mark.parametrize("layout", ["nnunet", "decathlon"])
def test_images_on_two_grids_are_refused_with_a_way(layout: str, make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.hecktor(tmp_path / "start"))
    with pytest.raises(ConversionRefused, match=r"'CHUM-001'.*not on the same grid.*convert to bids or brats"):
        convert_dataset(manifest, tmp_path / "out", layout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start"]


def test_images_moved_a_little_are_refused_in_one_file(make: SimpleNamespace, tmp_path: Path) -> None:
    make.brats(tmp_path / "start", NAMES[:1])
    moved = make.AFFINE.copy()
    moved[0, 3] += 0.005
    make.save(tmp_path / "start/BraTS2021_00001/BraTS2021_00001_t2.nii.gz", make.voxels(4), moved)
    manifest = index_dataset(tmp_path / "start")
    with pytest.raises(ConversionRefused, match=r"lie 0\.005 mm apart"):
        convert_dataset(manifest, tmp_path / "out", "decathlon")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start"]
    convert_dataset(manifest, tmp_path / "fine", "nnunet")


def test_ct_is_refused_by_brats_with_a_way(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.lits(tmp_path / "start"))
    with pytest.raises(ConversionRefused, match="here are ct; convert to bids or nnunet"):
        convert_dataset(manifest, tmp_path / "out", "brats")


def test_other_channels_are_refused_by_bids_with_a_way(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.nnunet(tmp_path / "start", channels=("T2", "ADC")))
    assert list(manifest.cases[0].images) == ["t2", "adc"]
    with pytest.raises(ConversionRefused, match="no name in BIDS for adc"):
        convert_dataset(manifest, tmp_path / "out", "bids")
    convert_dataset(manifest, tmp_path / "same", "decathlon")
    assert make.meaning(index_dataset(tmp_path / "same")) == make.meaning(manifest)


def test_tissue_that_the_target_lacks_is_refused_with_a_way(make: SimpleNamespace, tmp_path: Path) -> None:
    names = ["BraTS-GLI-00005-100"]
    manifest = index_dataset(make.brats(tmp_path / "start", names, (1, 3, 4), ends=make.NEW))
    with pytest.raises(ConversionRefused, match=r"'BraTS-GLI-00005-100'.*\(4\).*brats-2024"):
        convert_dataset(manifest, tmp_path / "out", "brats", scheme="brats-2023")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start"]


def test_tissue_that_does_not_occur_needs_no_place(make: SimpleNamespace, tmp_path: Path) -> None:
    names = ["BraTS-GLI-00005-100"]
    manifest = index_dataset(make.brats(tmp_path / "start", names, (1, 3), ends=make.NEW))
    assert manifest.scheme == "brats-2024"
    done = convert_dataset(manifest, tmp_path / "out", "brats", scheme="brats-2023")
    start = "masks are renumbered from brats-2024 to brats-2023: "
    assert done.notes == (f"{start}no number changes; RC has no number there and must not occur",)
    assert dict(done.files) == {"copied": 5}


def test_schemes_that_do_not_fit_are_refused(source: Manifest, make: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(ConversionRefused, match="share"):
        convert_dataset(source, tmp_path / "out", "bids", scheme="lits")
    with pytest.raises(ConversionRefused, match="counts labels up from 1"):
        convert_dataset(source, tmp_path / "out", "nnunet", scheme="brats-2021")
    with pytest.raises(ConversionRefused, match="BraTS has the schemes"):
        convert_dataset(source, tmp_path / "out", "brats", scheme="decathlon-brain")
    with pytest.raises(UnknownScheme):
        convert_dataset(source, tmp_path / "out", "bids", scheme="surprise")
    liver = index_dataset(make.nnunet(tmp_path / "liver", channels=("T1",), labels={"background": 0, "liver": 1}))
    with pytest.raises(ConversionRefused, match="none of them is or holds liver"):
        convert_dataset(liver, tmp_path / "out", "brats")
    with pytest.raises(DatasetError, match="no layout 'lits' to convert to"):
        convert_dataset(source, tmp_path / "out", "lits")


def test_gaps_in_the_numbers_are_closed_for_nnunet(make: SimpleNamespace, tmp_path: Path) -> None:
    labels = {"background": 0, "spleen": 3, "liver": 1}
    make.nnunet(tmp_path / "start", labels=labels)
    for path in (tmp_path / "start" / "labelsTr").iterdir():
        make.save(path, make.mask((1, 3)))
    manifest = index_dataset(tmp_path / "start")
    assert manifest.scheme == "custom"
    convert_dataset(manifest, tmp_path / "out", "nnunet")
    found = index_dataset(tmp_path / "out")
    assert dict(found.labels) == {"liver": (1,), "spleen": (2,)}
    assert make.meaning(found) == make.meaning(manifest)
    convert_dataset(manifest, tmp_path / "kept", "decathlon", scheme="custom")
    assert make.meaning(index_dataset(tmp_path / "kept")) == make.meaning(manifest)


def test_set_without_masks_is_converted(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.brats(tmp_path / "start", NAMES, None))
    for layout in ("nnunet", "decathlon", "bids", "brats"):
        convert_dataset(manifest, tmp_path / layout, layout)
        found = index_dataset(tmp_path / layout)
        assert found.scheme == "none"
        assert [case.mask for case in found.cases] == [None, None]


def test_image_of_another_format_is_refused_where_it_must_be_encoded(make: SimpleNamespace, tmp_path: Path) -> None:
    from tds_data.formats import write_image  # noqa: PLC0415  # one test of many
    from tds_data.volume import Volume  # noqa: PLC0415  # as above

    for name in ("t1.nrrd", "flair.nrrd"):
        (tmp_path / "start" / "somebody").mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "start" / "somebody" / name, Volume(make.voxels(len(name)), make.AFFINE))
    manifest = index_dataset(tmp_path / "start")
    with pytest.raises(ConversionRefused, match="no NIfTI file"):
        convert_dataset(manifest, tmp_path / "out", "bids")
    with pytest.raises(VolumeReadError, match="no NIfTI file"):
        convert_dataset(manifest, tmp_path / "out", "decathlon")
    done = convert_dataset(manifest, tmp_path / "same", "nnunet")
    assert dict(done.files) == {"copied": 2}


def test_empty_manifest_is_refused(tmp_path: Path) -> None:
    empty = Manifest(layout="brats", cases=(), scheme="none", root=tmp_path)
    with pytest.raises(DatasetError, match="no case to convert"):
        convert_dataset(empty, tmp_path / "out", "brats")


def test_file_that_changed_since_the_index_is_refused(source: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "start/BraTS2021_00002/BraTS2021_00002_t1.nii.gz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DatasetError, match="not the file that the manifest describes; index"):
        convert_dataset(source, tmp_path / "out", "brats")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["start"]


def test_file_that_went_since_the_index_is_told(source: Manifest, tmp_path: Path) -> None:
    (tmp_path / "start/BraTS2021_00002/BraTS2021_00002_t1.nii.gz").unlink()
    with pytest.raises(VolumeReadError, match="No such file"):
        convert_dataset(source, tmp_path / "out", "brats")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["start"]


def test_root_that_went_since_the_index_is_told(source: Manifest, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "start")
    with pytest.raises(DatasetError, match="no folder"):
        convert_dataset(source, tmp_path / "out", "brats")


def test_manifest_that_names_a_link_out_of_its_root_is_refused(source: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "start/BraTS2021_00002/BraTS2021_00002_t1.nii.gz"
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(ManifestError, match="leaves the root"):
        convert_dataset(source, tmp_path / "out", "brats")


def test_target_that_holds_something_is_refused(source: Manifest, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(VolumeWriteError, match="holds other things"):
        convert_dataset(source, tmp_path / "out", "brats")
    assert below(tmp_path / "out") == ["thesis.txt"]


def test_target_within_the_source_or_around_it_is_refused(source: Manifest, tmp_path: Path) -> None:
    for target in (tmp_path / "start" / "out", tmp_path / "start", tmp_path):
        with pytest.raises(VolumeWriteError):
            convert_dataset(source, target, "brats")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["start"]


def test_parent_that_cannot_be_written_to_is_told(
    source: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def refuse(self: Path, *args: object, **keywords: object) -> None:
        if "out" in self.name:
            raise PermissionError(errno.EACCES, "Permission denied")
        real(self, *args, **keywords)  # type: ignore[arg-type]  # passes on what it got

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(VolumeWriteError, match="Permission denied"):
        convert_dataset(source, tmp_path / "out", "brats")


def test_disk_that_fills_up_leaves_nothing(source: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_bytes

    def refuse(self: Path, data: bytes) -> int:
        if self.name.startswith("BraTS2021_00002"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(VolumeWriteError, match="the disk is full"):
        convert_dataset(source, tmp_path / "out", "nnunet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["start"]


def test_disk_without_room_is_told_before_any_work(
    source: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tds_data.datasets.convert.shutil.disk_usage", lambda _: SimpleNamespace(free=10**9, total=0, used=0)
    )
    grown = {key: replace(file, size_bytes=10**9) for key, file in source.cases[0].images.items()}
    case = type(source.cases[0])(name="a", patient="a", images=grown)
    large = Manifest(layout="brats", cases=(case,), scheme="none", root=source.root)
    with pytest.raises(VolumeWriteError, match="MiB left, and the data set takes 3814"):
        convert_dataset(large, tmp_path / "out", "brats")


KILLED = """
import sys
from pathlib import Path
from tds_data.datasets import convert_dataset, read_manifest

def wait(done, total, what):
    if what == "writing":
        print("writing", flush=True)
        sys.stdin.read()

convert_dataset(read_manifest(Path(sys.argv[1])), Path(sys.argv[2]), "brats", progress=wait)
"""


def test_killed_run_leaves_no_target_and_the_next_clears_up(source: Manifest, tmp_path: Path) -> None:
    write_manifest(source, tmp_path / "m.json")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "m.json"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603  # ourselves
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "out").exists()
    time.sleep(0.01)
    assert any(path.name.startswith(".out.partial-") for path in tmp_path.iterdir())
    convert_dataset(read_manifest(tmp_path / "m.json"), tmp_path / "out", "brats")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "out", "start"]


def test_attribute_that_no_table_can_hold_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    manifest = index_dataset(make.brats(tmp_path / "start", NAMES[:1]))
    case = manifest.cases[0]

    def with_attributes(**attributes: str) -> Manifest:
        changed = type(case)(name=case.name, patient=case.patient, images=case.images, attributes=attributes)
        return Manifest(layout="brats", cases=(changed,), scheme="none", root=manifest.root)

    for layout in ("bids", "nnunet"):
        with pytest.raises(ConversionRefused, match="tab or a line break"):
            convert_dataset(with_attributes(note="a\tb"), tmp_path / "out", layout)
    with pytest.raises(ConversionRefused, match="'name', which cases"):
        convert_dataset(with_attributes(name="x"), tmp_path / "out", "brats")
    with pytest.raises(ConversionRefused, match="'participant_id'"):
        convert_dataset(with_attributes(participant_id="x"), tmp_path / "out", "bids")


def test_subjects_of_bids_stay_apart_and_names_come_back(make: SimpleNamespace, tmp_path: Path) -> None:
    make.folders(tmp_path / "start")
    for seed, name in enumerate(("a_1", "A1", "A-1", "_-_"), 200):
        make.save(tmp_path / "start" / name / "t1.nii.gz", make.voxels(seed))
    manifest = index_dataset(tmp_path / "start")
    convert_dataset(manifest, tmp_path / "out", "bids")
    folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.name.startswith("sub-"))
    assert folders == ["sub-A1", "sub-A1x2", "sub-Zrichzweite", "sub-a1x3", "sub-firstvisit", "sub-x"]
    assert make.meaning(index_dataset(tmp_path / "out")) == make.meaning(manifest)


def test_sessions_without_usable_names_are_numbered(make: SimpleNamespace, tmp_path: Path) -> None:
    make.folders(tmp_path / "start")
    (tmp_path / "start" / "cases.tsv").write_text(
        "name\tpatient\tsession\nfirst visit\tP1\tpre-op\nZürich_zweite\tP1\tpost-op\n", encoding="utf-8"
    )
    manifest = index_dataset(tmp_path / "start")
    convert_dataset(manifest, tmp_path / "out", "bids")
    assert sorted(p.name for p in (tmp_path / "out" / "sub-P1").iterdir() if p.is_dir()) == ["ses-01", "ses-02"]
    assert make.meaning(index_dataset(tmp_path / "out")) == make.meaning(manifest)


def test_channel_names_that_are_no_json_are_left_aside(source: Manifest, tmp_path: Path) -> None:
    for text in ("{", "[]", '{"t1": "T1"}'):
        odd = Manifest(
            layout="brats", cases=source.cases, scheme="brats-2021", root=source.root, attributes={"channels": text}
        )
        convert_dataset(odd, tmp_path / str(len(text)), "nnunet")


@pytest.mark.real_data
def test_real_patient_goes_through_layouts_that_encode_and_that_copy(
    real_patients: list[Path], make: SimpleNamespace, tmp_path: Path
) -> None:
    shutil.copytree(real_patients[1], tmp_path / "start" / real_patients[1].name)
    manifest = index_dataset(tmp_path / "start")
    before = make.meaning(manifest)
    for number, layout in enumerate(("decathlon", "bids")):
        convert_dataset(manifest, tmp_path / str(number), layout)
        manifest = index_dataset(tmp_path / str(number))
        assert make.meaning(manifest) == before
