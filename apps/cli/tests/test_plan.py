import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

import nibabel as nib
import numpy as np

from tds_cli.commands.plan import parse_size
from tds_core.training.planning import read_plan

Tds = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
QUICK = ("--task", "liver-tumour", "--set", "network.options.init_filters=8")


@pytest.fixture
def livers(tmp_path: Path) -> Path:
    """Two small CTs named as in LiTS, without any tumour."""
    root = tmp_path / "Lebern und mehr"
    root.mkdir()
    for number in range(2):
        voxels = np.full((30, 34, 20), -1000, np.int16)
        voxels[3:27, 3:31, 2:18] = np.random.default_rng(number).integers(0, 100, (24, 28, 16))
        mask = np.zeros(voxels.shape, np.uint8)
        mask[8:18, 8:20, 6:14] = 1
        nib.save(nib.Nifti1Image(voxels, AFFINE), root / f"volume-{number}.nii")
        nib.save(nib.Nifti1Image(mask, AFFINE), root / f"segmentation-{number}.nii")
    return root


def test_data_set_is_planned_for_with_reasons(tds: Tds, livers: Path, tmp_path: Path) -> None:
    code, out, err = tds("plan", livers, "-o", tmp_path / "plan.yaml", *QUICK, "--vram", "4GB")
    assert (code, err) == (0, "")
    plan = read_plan(tmp_path / "plan.yaml")
    assert plan.network == "segresnet"
    assert plan.vram_target_bytes == 4 * 1024**3
    assert "spacing: The median of the 2 cases' voxels is 2 x 2 x 3 mm." in out
    assert "has the label tumour: it cannot be learned" in out
    assert "of 4.0 GiB" in out
    assert "Not a medical device." in out


def test_json_is_the_plan(tds: Tds, livers: Path, tmp_path: Path) -> None:
    code, out, _ = tds("plan", livers, "-o", tmp_path / "plan.yaml", *QUICK[:2], "--network", "unet", "--json")
    document = json.loads(out)
    assert code == 0
    assert document.pop("output") == str(tmp_path / "plan.yaml")
    assert document["network"] == "unet"
    assert tuple(document["patch"]) == read_plan(tmp_path / "plan.yaml").patch


def test_recipe_of_a_run_can_be_planned_for(tds: Tds, livers: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "run.yaml"
    recipe.write_text(
        f"name: livers\ntask: liver-tumour\ndata: {{datasets: [{{path: {livers.name}}}], spacing_mm: 4}}\n"
    )
    code, _, _ = tds("plan", recipe, "-o", tmp_path / "plan.yaml", "--set", "sampling.patch=[16, 16, 16]")
    plan = read_plan(tmp_path / "plan.yaml")
    assert (code, plan.spacing_mm, plan.patch) == (0, (4.0, 4.0, 4.0), (16, 16, 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--network", "segresnett"), "did you mean 'segresnet'"),
        (("--task", "liver-tumor"), "did you mean 'liver-tumour'"),
        (("--set", "sampling.pach=1"), "did you mean 'patch'"),
        (("--vram", "plenty"), "--vram takes a size such as 8GB"),
        (("--vram", "0.5GB", *QUICK), "does not fit into 0.5 GiB"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    tds: Tds, livers: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = tds("plan", livers, "-o", tmp_path / "plan.yaml", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert not (tmp_path / "plan.yaml").exists()


def test_plan_that_is_there_is_not_written_over(tds: Tds, livers: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("mine")
    code, _, err = tds("plan", livers, "-o", tmp_path / "plan.yaml", *QUICK)
    assert (code, (tmp_path / "plan.yaml").read_text()) == (2, "mine")
    assert "may have been changed" in err


def test_data_that_are_not_there_are_told_of(tds: Tds, tmp_path: Path) -> None:
    assert tds("plan", tmp_path / "nothing", "-o", tmp_path / "plan.yaml")[0] == 2
    recipe = tmp_path / "run.yaml"
    recipe.write_text("name: demo\ndata: {datasets: [{phantoms: 4}]}\n")
    code, _, err = tds("plan", recipe, "-o", tmp_path / "plan.yaml")
    assert code == 2
    assert "tds data synth" in err


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8 << 30), ("8", 8 << 30), ("512 MiB", 512 << 20), ("1.5g", 3 << 29), ("1T", 1 << 40)]
)
def test_sizes_are_read_as_graphics_cards_count(text: str, size: int) -> None:
    assert parse_size(text, "--vram") == size
