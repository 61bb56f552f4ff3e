import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_cli import demonstration
from tds_cli.demonstration import demonstrate, is_demo, write_brats
from tds_data import Case, LesionReport, PhantomConfig, VolumeWriteError, load_case, make_phantom
from tds_data.discover import discover

Tds = Callable[..., tuple[int, str, str]]


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def silent(stage: str) -> None:
    """Hear nothing."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LesionReport]:
    out = tmp_path_factory.mktemp("demo") / "tds-demo"
    return out, demonstrate(out, seed=3, progress=silent, spacing_mm=3.0)


def test_demo_leaves_phantom_and_result_in_one_folder(demo: tuple[Path, LesionReport]) -> None:
    out, report = demo
    names = ["mask.nii.gz", "overlay.png", "phantom", "report.html", "result.json"]
    assert listed(out) == names
    assert listed(out / "phantom") == [f"phantom-0003_{name}.nii.gz" for name in ("flair", "seg", "t1", "t1ce", "t2")]
    assert report.phantom
    assert report.dice is not None


def test_phantom_on_disk_is_the_one_of_the_seed(demo: tuple[Path, LesionReport]) -> None:
    stored = load_case(discover(demo[0] / "phantom"))
    made = make_phantom(PhantomConfig(seed=3, spacing_mm=3.0))
    assert all((stored.images[m].voxels == volume.voxels).all() for m, volume in made.images.items())
    assert stored.reference is not None
    assert made.reference is not None
    assert (stored.reference.voxels == made.reference.voxels).all()


def test_earlier_demo_is_replaced(demo: tuple[Path, LesionReport]) -> None:
    out, first = demo
    (out / "report.html").unlink()
    again = demonstrate(out, seed=3, progress=silent, spacing_mm=3.0)
    assert again.lesions == first.lesions
    assert (out / "report.html").is_file()


def test_result_of_a_patient_is_never_replaced_by_a_demo(demo: tuple[Path, LesionReport], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "phantom").mkdir(parents=True)
    document = json.loads((demo[0] / "result.json").read_text(encoding="utf-8"))
    (out / "result.json").write_text(json.dumps({**document, "phantom": False}), encoding="utf-8")
    with pytest.raises(VolumeWriteError, match="already holds a result"):
        demonstrate(out, seed=3, progress=silent)


@pytest.mark.parametrize("text", [None, "no JSON", "{}"])
def test_folder_without_a_readable_result_is_no_demo(tmp_path: Path, text: str | None) -> None:
    (tmp_path / "phantom").mkdir()
    if text is not None:
        (tmp_path / "result.json").write_text(text, encoding="utf-8")
    assert not is_demo(tmp_path)
    assert not is_demo(tmp_path / "nothing")


@pytest.mark.parametrize("place", ["thesis.txt", "notes/day-1.txt", "phantom/mine.nii.gz", "phantom/more/mine.txt"])
def test_demo_in_which_somebody_keeps_things_is_left_alone(
    demo: tuple[Path, LesionReport], tmp_path: Path, place: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(demo[0], out)
    assert is_demo(out)
    (out / place).parent.mkdir(exist_ok=True)
    (out / place).write_text("mine", encoding="utf-8")
    with pytest.raises(VolumeWriteError):
        demonstrate(out, seed=3, progress=silent)
    assert (out / place).read_text(encoding="utf-8") == "mine"


def test_demo_with_a_link_in_it_is_no_plain_demo(demo: tuple[Path, LesionReport], tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(demo[0], out)
    (out / "phantom").rename(tmp_path / "elsewhere")
    (out / "phantom").symlink_to(tmp_path / "elsewhere")
    assert not is_demo(out)


def test_case_without_a_mask_is_written_without_one(phantom: Case, tmp_path: Path) -> None:
    write_brats(Case(name="x", images=phantom.images), tmp_path / "x")
    assert len(listed(tmp_path / "x")) == 4


def at_three_millimetres(monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(config: PhantomConfig) -> Case:
        return make_phantom(PhantomConfig(seed=config.seed, spacing_mm=3.0))

    monkeypatch.setattr(demonstration, "make_phantom", coarse)


def test_command_says_that_the_patient_is_a_phantom(tds: Tds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_three_millimetres(monkeypatch)
    monkeypatch.chdir(tmp_path)
    code, out, err = tds("demo")
    assert (code, err) == (0, "")
    assert out.startswith("PHANTOM: ")
    assert "Dice against the PHANTOM's own truth: WT 0." in out
    assert "open tds-demo/report.html" in out
    assert (tmp_path / "tds-demo" / "phantom" / "phantom-0007_t1.nii.gz").is_file()


def test_command_answers_in_json(tds: Tds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_three_millimetres(monkeypatch)
    code, out, _ = tds("demo", "-o", tmp_path / "d", "--seed", "12", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["result"]["phantom"] is True
    assert (tmp_path / "d" / "phantom" / "phantom-0012_seg.nii.gz").is_file()


def test_folder_with_other_things_is_left_alone(tds: Tds, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    code, _, err = tds("demo", "-o", tmp_path)
    assert code == 1
    assert "holds other things" in err
    assert listed(tmp_path) == ["thesis.txt"]
