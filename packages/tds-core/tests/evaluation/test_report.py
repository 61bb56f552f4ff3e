import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from tds_core import EvaluationError
from tds_core.evaluation.summary import ScoredCase

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
pytest.importorskip("PIL")

from tds_core.evaluation.report import (
    Evaluation,
    GalleryEntry,
    render_page,
    to_document,
    worst_first,
    write_report,
)


def scored(case: str, dice: float, *, phantom: bool = False) -> ScoredCase:
    row: dict[str, float | None] = {
        "dice": dice,
        "hd95_mm": None if dice > 0.9 else 4.25,
        "lesions_missed": 1.0,
        "volume_ml_found": 10.0,
        "volume_ml_truth": 12.0,
    }
    return ScoredCase(case=case, phantom=phantom, values={"WT": row, "ET": {**row, "dice": dice / 2}})


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return Evaluation(
        title="Scores of <model>",
        cases=(scored("a", 0.8), scored("b & c", 0.3), scored("p", 0.95, phantom=True)),
        facts={"Model": "m 1.0"},
        notes=("Watched in training.",),
        gallery=(GalleryEntry(case="b & c", phantom=False, png=b"png", caption="axial slice"),),
    )


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render_page(evaluation)


def test_page_shows_patients_and_phantoms_apart(page: str) -> None:
    patients, phantoms = page.split('<section class="phantoms"')
    assert "2 patients" in patients
    assert "1 phantom<" in phantoms
    assert "they say nothing about patients" in phantoms
    assert "0.550" in patients  # the mean Dice of WT over patients alone
    assert "0.950" in phantoms
    assert "0.950" not in patients


def test_page_says_what_it_is_and_escapes_names(page: str) -> None:
    assert "Research use only" in page
    assert "Scores of &lt;model&gt;" in page
    assert "b &amp; c" in page
    assert "Watched in training." in page


def test_page_allows_its_own_style_and_nothing_else(page: str) -> None:
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert len(re.findall(r"<img ", page)) == len(re.findall(r'<img [^>]*alt="[^"]+"', page)) == 5


def test_page_says_how_many_distances_stand_in_for_an_empty_mask(page: str) -> None:
    row: dict[str, float | None] = {"hd95_mm": 373.13, "volume_ml_found": 0.0, "volume_ml_truth": 3.0}
    cases = tuple(ScoredCase(case=name, phantom=False, values={"WT": row}) for name in "ab")
    empty = render_page(Evaluation(title="t", cases=cases))
    assert "373.13 mm stands in" in empty
    assert "2 of 2 stand in" in empty
    assert "of 2 stand in" not in page


def test_undefined_value_is_shown_as_such(page: str) -> None:
    phantoms = page.split('<section class="phantoms"')[1]
    assert "\N{EN DASH}" in phantoms


def test_report_is_a_folder_of_page_tables_and_plots(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bland-altman-patients.png",
        "bland-altman-phantoms.png",
        "boxes-patients.png",
        "boxes-phantoms.png",
        "cases.csv",
        "index.html",
        "scores.json",
        "summary.csv",
    ]
    document = json.loads((tmp_path / "scores.json").read_text())
    assert document == to_document(evaluation)
    assert document["cases"][2]["phantom"] is True
    assert document["cases"][2]["regions"]["WT"]["hd95_mm"] is None
    assert {(row["kind"], row["region"]) for row in document["summary"]} == {
        ("patient", "WT"),
        ("patient", "ET"),
        ("phantom", "WT"),
        ("phantom", "ET"),
    }


def test_worst_case_comes_first() -> None:
    cases = [scored("a", 0.8), scored("b", 0.3), scored("c", 0.3), scored("d", 0.9)]
    assert [case.case for case in worst_first(cases)] == ["b", "c", "a", "d"]


def test_cases_with_different_metrics_are_refused() -> None:
    other = ScoredCase(case="x", phantom=False, values={"WT": {"dice": 0.5}})
    with pytest.raises(EvaluationError, match="the same regions and metrics"):
        Evaluation(title="t", cases=(scored("a", 0.8), other))
    with pytest.raises(EvaluationError, match="0 were given"):
        Evaluation(title="t", cases=())
