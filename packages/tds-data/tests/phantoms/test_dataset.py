import errno
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tds_data import read_volume
from tds_data.datasets import index_dataset, load_entry, read_manifest
from tds_data.errors import ConversionRefused, DatasetError, VolumeWriteError, VoxelError
from tds_data.phantoms import PhantomSet, TumourKind, dataset, draw_config, make_phantom, write_phantoms
from tds_data.phantoms.synthesis import synthesize
from tds_data.vocabulary import MODALITIES

COARSE = {"count": 2, "seed": 20, "spacing_mm": 4.0}


def hashes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sets") / "phantöms of mine"
    write_phantoms(target, PhantomSet(**COARSE), workers=1)
    return target


def test_set_can_be_read_again_and_is_marked(written: Path) -> None:
    manifest = read_manifest(written / "manifest.json")
    assert [case.name for case in manifest.cases] == ["phantom-0020", "phantom-0021"]
    assert all(case.phantom and case.attributes["kind"] for case in manifest.cases)
    indexed = index_dataset(written)
    assert (indexed.layout, indexed.scheme) == ("brats", "brats-2023")
    assert {c.name: dict(c.images) for c in indexed.cases} == {c.name: dict(c.images) for c in manifest.cases}
    assert all(case.phantom for case in indexed.cases)


def test_files_hold_what_the_library_makes(written: Path) -> None:
    manifest = read_manifest(written / "manifest.json")
    for entry, seed in zip(manifest.cases, (20, 21), strict=True):
        case = load_entry(manifest, entry)
        made = make_phantom(draw_config(PhantomSet(**COARSE), seed))
        for modality in MODALITIES:
            np.testing.assert_array_equal(case.images[modality].voxels, made.images[modality].voxels)
            np.testing.assert_allclose(case.images[modality].ras_from_voxel, made.grid.ras_from_voxel)
        assert case.reference is not None
        assert made.reference is not None
        np.testing.assert_array_equal(case.reference.voxels, made.reference.voxels)


def test_names_tell_that_these_are_phantoms(written: Path) -> None:
    images = [p.name for p in written.rglob("*.nii.gz")]
    assert len(images) == 10
    assert all(re.match(r"phantom-\d{4,}_(t1|t1ce|t2|flair|seg)\.nii\.gz", name) for name in images)


def test_recipes_say_how_each_was_made(written: Path) -> None:
    document = json.loads((written / "phantoms.json").read_text(encoding="utf-8"))
    assert document["phantom"] is True
    assert "esearch use only" in document["notice"]
    recipe = document["cases"]["phantom-0020"]
    assert set(recipe["sequences"]) == set(MODALITIES)
    assert recipe["tesla"] in {1.5, 3.0}
    assert recipe["sequences"]["flair"]["technique"].startswith("fluid-nulled")


def test_number_of_workers_changes_nothing(written: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    write_phantoms(tmp_path / "two", PhantomSet(**COARSE), workers=2, progress=lambda *step: told.append(step))
    assert hashes(tmp_path / "two") == hashes(written)
    assert told == [(1, 2, "phantoms"), (2, 2, "phantoms")]


def test_phantom_does_not_depend_on_the_set_around_it() -> None:
    alone, among = PhantomSet(count=1, seed=25), PhantomSet(count=50, seed=0)
    assert draw_config(alone, 25) == draw_config(among, 25)


def test_mixture_holds_every_kind_and_several_lesions() -> None:
    configs = [draw_config(PhantomSet(count=200), seed) for seed in range(200)]
    kinds = [c.kind for c in configs]
    assert 0.45 < kinds.count(TumourKind.HIGH_GRADE) / 200 < 0.75
    assert min(kinds.count(k) for k in TumourKind) > 10
    assert {c.tumours for c in configs} == {1, 2, 3}


def test_missing_sequences_are_missing_in_about_half_and_never_all() -> None:
    wanted = PhantomSet(count=200, missing=True)
    left = [len(draw_config(wanted, seed).modalities) for seed in range(200)]
    assert 60 < left.count(4) < 140
    assert set(left) == {2, 3, 4}
    assert {m for s in range(200) for m in draw_config(wanted, s).modalities} == set(MODALITIES)


def test_options_reach_every_phantom() -> None:
    wanted = PhantomSet(
        count=3, kind=TumourKind.LOW_GRADE, with_skull=True, thick_slices=True, motion=True, tesla=1.5, spacing_mm=2.0
    )
    for seed in range(3):
        config = draw_config(wanted, seed)
        assert (config.kind, config.tesla, config.spacing_mm) == (TumourKind.LOW_GRADE, 1.5, 2.0)
        assert config.with_skull
        assert config.thick_slices
        assert 0 < config.motion <= 1


@pytest.mark.parametrize("layout", ["nnunet", "decathlon", "bids"])
def test_other_layouts_hold_the_same_voxels(written: Path, tmp_path: Path, layout: str) -> None:
    manifest = write_phantoms(tmp_path / layout, PhantomSet(**COARSE, layout=layout), workers=1)
    assert manifest.layout == layout
    assert manifest.root == tmp_path / layout
    again = read_manifest(tmp_path / layout / "manifest.json")
    assert all(case.phantom for case in again.cases)
    assert (tmp_path / layout / "phantoms.json").read_bytes() == (written / "phantoms.json").read_bytes()
    source = read_manifest(written / "manifest.json")
    for one, other in zip(source.cases, again.cases, strict=True):
        first, second = load_entry(source, one), load_entry(again, other)
        for modality in MODALITIES:
            np.testing.assert_array_equal(first.images[modality].voxels, second.images[modality].voxels)
        assert first.reference is not None
        assert second.reference is not None
        np.testing.assert_array_equal(first.reference.voxels, second.reference.voxels)
    assert list(tmp_path.iterdir()) == [tmp_path / layout]


def test_cavity_gets_its_label_when_asked_for(tmp_path: Path) -> None:
    wanted = PhantomSet(count=1, seed=4, spacing_mm=4.0, kind=TumourKind.RESECTED, cavity_label=True)
    manifest = write_phantoms(tmp_path / "set", wanted, workers=1)
    assert index_dataset(tmp_path / "set").scheme == manifest.scheme == "brats-2024"
    mask = read_volume(tmp_path / "set" / "phantom-0004" / "phantom-0004_seg.nii.gz")
    phantom = synthesize(draw_config(wanted, 4))
    np.testing.assert_array_equal(mask.voxels == 4, phantom.cavity)
    np.testing.assert_array_equal(mask.voxels * (mask.voxels != 4), phantom.reference.voxels)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"count": 0}, DatasetError, "1 to 100000"),
        ({"layout": "lits"}, DatasetError, "choose one of nnunet"),
        ({"layout": "nnunet", "missing": True}, ConversionRefused, "choose brats or bids"),
        ({"spacing_mm": 9.0}, VoxelError, "spacing_mm"),
        ({"seed": -1}, VoxelError, "seed lies between"),
        ({"seed": 2**63}, VoxelError, "seed lies between"),
        ({"tesla": 7.0}, VoxelError, "tesla"),
    ],
)
def test_impossible_sets_are_refused_at_once(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PhantomSet(**({"count": 2} | changes))


def test_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(VolumeWriteError, match="holds other things"):
        write_phantoms(tmp_path, PhantomSet(**COARSE), workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("layout", ["brats", "bids"])
def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    seen: list[str] = []

    def full(path: Path, *_: object) -> None:
        seen.extend(p.name for p in tmp_path.iterdir())
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(dataset, "write_volume", full)
    with pytest.raises(VolumeWriteError, match="disk is full"):
        write_phantoms(tmp_path / "set", PhantomSet(**COARSE, layout=layout), workers=1)
    assert list(tmp_path.iterdir()) == []
    # A name that the next run clears away, were this one killed.
    assert re.fullmatch(r"\.set\.partial-\d+-[0-9a-f]{8}-[0-9a-f]{8}", *seen)


def test_worker_that_fails_is_told_with_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def vanished(_: Path) -> Iterator[Path]:
        yield tmp_path / "gone"

    monkeypatch.setattr(dataset, "atomic_folder", vanished)
    with pytest.raises(VolumeWriteError, match=r"seed 2[01] could not be made \(FileNotFoundError"):
        write_phantoms(tmp_path / "set", PhantomSet(**COARSE), workers=2)
    assert list(tmp_path.iterdir()) == []
