import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_cli.study import StudyRequest, read_study

if importlib.util.find_spec("nilearn") is None:
    pytest.skip("the anatomy comes with the extra `phantom`", allow_module_level=True)

Tds = Callable[..., tuple[int, str, str]]
QUICK = ("--spacing", 4, "--workers", 1)


def test_phantoms_are_written_and_the_reader_is_told_what_they_are(tds: Tds, tmp_path: Path) -> None:
    code, out, err = tds("data", "synth", "-n", 2, "--seed", 5, "-o", tmp_path / "set", *QUICK)
    assert (code, err) == (0, "")
    assert out.startswith("2 phantoms (")
    assert "says nothing about people" in out
    study = read_study(StudyRequest(path=tmp_path / "set" / "phantom-0005"))
    assert study.phantom
    assert study.case.reference is not None


def test_json_names_the_cases(tds: Tds, tmp_path: Path) -> None:
    code, out, _ = tds("data", "synth", "--seed", 7, "-o", tmp_path / "set", "--layout", "nnunet", "--json", *QUICK)
    assert code == 0
    document = json.loads(out)
    assert document["phantom"] is True
    assert (document["layout"], document["cases"]) == ("nnunet", ["phantom-0007"])
    assert (tmp_path / "set" / "dataset.json").is_file()


def test_options_reach_the_phantoms(tds: Tds, tmp_path: Path) -> None:
    options = ("--kind", "low-grade", "--field", "1.5", "--thick", "--motion", "--missing", "--cavity-label")
    code, _, _ = tds("data", "synth", "-n", 3, "--seed", 11, "-o", tmp_path / "set", *options, *QUICK)
    assert code == 0
    cases = json.loads((tmp_path / "set" / "phantoms.json").read_text(encoding="utf-8"))["cases"].values()
    assert {(case["kind"], case["tesla"]) for case in cases} == {("low-grade", 1.5)}
    assert min(case["motion"] for case in cases) > 0
    assert min(len(case["sequences"]) for case in cases) < 4
    assert min(sequence["slice_mm"] for case in cases for sequence in case["sequences"].values()) > 0


@pytest.mark.parametrize(
    ("arguments", "expected", "told"),
    [
        (("--spacing", 9), 2, "--spacing"),
        (("-n", 0), 2, "-n"),
        (("--field", "7"), 2, "--field"),
        (("--layout", "nnunet", "--missing"), 3, "choose brats or bids"),
    ],
)
def test_what_cannot_be_is_refused(
    tds: Tds, tmp_path: Path, arguments: tuple[object, ...], expected: int, told: str
) -> None:
    code, _, err = tds("data", "synth", "-o", tmp_path / "set", *arguments)
    assert code == expected
    assert told in err
    assert not (tmp_path / "set").exists()


def test_folder_with_something_in_it_is_left_alone(tds: Tds, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    code, _, err = tds("data", "synth", "-o", tmp_path, *QUICK)
    assert code == 1
    assert "holds other things" in err
