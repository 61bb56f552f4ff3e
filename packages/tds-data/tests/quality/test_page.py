"""The page and the JSON form of a check."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tds_data import RESEARCH_USE_NOTICE, Case, Severity, VolumeWriteError
from tds_data.errors import MissingDependency
from tds_data.quality import page
from tds_data.quality.codes import CODES, flag
from tds_data.quality.dataset_report import CaseReport, DatasetReport
from tds_data.quality.page import prepare_folder, render_page, write_check
from tds_data.quality.pictures import draw_pictures
from tds_data.vocabulary import MODALITIES

pytest.importorskip("jinja2")
pytest.importorskip("PIL.Image")

VOID = {"meta", "link", "img", "input", "br", "hr", "path"}
HOSTILE = "<script>alert('&\"')</script>"


class Page(HTMLParser):
    """Holds the page's elements, and fails where they are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def finding(code: str, **fields: object) -> object:
    return flag(code, f"what {code} says", **fields)


@pytest.fixture
def report(noisier: Callable[[int], Case]) -> DatasetReport:
    case = noisier(1)
    images = {modality.value: volume for modality, volume in case.images.items()}
    drawn = draw_pictures(images, case.reference)
    facts = {"shape": case.grid.shape, "spacing_mm": case.grid.spacing_mm, "orientation": "LPS", "marked_ml": 12.5}
    sequences = tuple(MODALITIES)
    return DatasetReport(
        name="set",
        layout="folders",
        scheme="brats-2023",
        digest="ab" * 32,
        licence="CC BY 4.0",
        flags=(finding("INDEX-PROBLEM"),),
        cases=(
            CaseReport(name="clean", patient="p1", sequences=sequences, pictures=drawn, **facts),
            CaseReport(
                name="warned",
                patient="p2",
                sequences=sequences,
                flags=(finding("CLIPPED", value="3% of the head", subject="t1ce"), finding("SPECKS", subject="mask")),
                notes=("missing: t2", "not used: x.nii"),
                phantom=True,
                pictures=drawn[:2],
                **facts,
            ),
            CaseReport(
                name="broken",
                patient="p3",
                sequences=("t1", "t2"),
                flags=(finding("UNREADABLE", value="it is empty", subject="t1"),),
            ),
        ),
    )


def test_page_holds_every_case_code_and_value(report: DatasetReport) -> None:
    shown = Page(render_page(report))
    for words in ("clean", "warned", "broken", "CLIPPED", "SPECKS", "UNREADABLE", "INDEX-PROBLEM", "CC BY 4.0"):
        assert words in shown.text
    assert "T1ce: 3% of the head" in shown.text
    assert "What CLIPPED says." in shown.text
    assert CODES["CLIPPED"].advice in shown.text
    assert "phantom, not a patient" in shown.text
    assert "not used: x.nii" in shown.text
    assert "missing: t2" not in shown.text
    assert RESEARCH_USE_NOTICE in shown.text
    assert "3 cases: 1 with errors , 1 with warnings, 1 without findings." in shown.text


def test_gravest_cases_come_first(report: DatasetReport) -> None:
    cards = [card["data-kinds"] for card in Page(render_page(report)).all("article")]
    assert cards == ["error UNREADABLE", "warning CLIPPED SPECKS", "clean"]


def test_page_asks_for_nothing_outside_and_runs_nothing(report: DatasetReport) -> None:
    text = render_page(report)
    shown = Page(text)
    assert {name for name, _ in shown.elements} & {"script", "link", "iframe", "object", "form"} == set()
    sources = [str(value) for _, attributes in shown.elements for key, value in attributes.items() if key == "src"]
    assert sources
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert all(str(link["href"]).startswith("#") for link in shown.all("a"))
    assert not re.search(r"https?:|url\(|@import", text)
    assert not any(key.startswith("on") or key == "style" for _, a in shown.elements for key in a)


def test_policy_allows_the_pages_own_style_alone(report: DatasetReport) -> None:
    text = render_page(report)
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(meta["content"] for meta in Page(text).all("meta") if "http-equiv" in meta)
    assert f"style-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")


def test_every_picture_has_words_and_every_target_exists(report: DatasetReport) -> None:
    shown = Page(render_page(report))
    assert len(shown.all("img")) == 6
    assert all(re.match(r"(T1|T1ce|T2|FLAIR) of (clean|warned): axial slice", str(i["alt"])) for i in shown.all("img"))
    anchors = {attributes.get("id") for _, attributes in shown.elements}
    assert all(str(link["href"])[1:] in anchors for link in shown.all("a"))
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "html" in dict(shown.elements)
    assert dict(shown.elements)["html"] == {"lang": "en"}


def test_choices_filter_by_severity_and_code(report: DatasetReport) -> None:
    text = render_page(report)
    kinds = ("all", "error", "warning", "clean", "UNREADABLE", "CLIPPED", "SPECKS")
    assert [box["id"] for box in Page(text).all("input")] == [*(f"only-{kind}" for kind in kinds), "outlines"]
    assert 'body:has(#only-CLIPPED:checked) .card:not([data-kinds~="CLIPPED"])' in text


def test_absent_and_unreadable_sequences_have_a_place(report: DatasetReport) -> None:
    shown = Page(render_page(report)).text
    assert "cannot be shown" in shown
    partial = DatasetReport(
        name="x",
        layout="x",
        scheme="none",
        digest="0" * 64,
        cases=(
            CaseReport(name="a", patient="a", sequences=("t1",), pictures=report.cases[0].pictures[:1]),
            CaseReport(name="b", patient="b", sequences=("ct",), pictures=report.cases[0].pictures[:1]),
        ),
    )
    words = Page(render_page(partial)).text
    assert "missing" in words
    assert "CT cannot be shown" in words


def test_names_from_outside_are_words_and_nothing_else() -> None:
    case = CaseReport(
        name=HOSTILE, patient="p", sequences=("t1",), notes=(HOSTILE,), flags=(finding("UNREADABLE", value=HOSTILE),)
    )
    report = DatasetReport(name=HOSTILE, layout="x", scheme="none", digest="0" * 64, cases=(case,))
    text = render_page(report)
    assert "<script" not in text
    assert HOSTILE in Page(text).text


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("t1", "T1: v"),
        ("t1, t1ce", "T1 and T1ce: v"),
        ("t1, t2, flair", "T1, T2 and FLAIR: v"),
        (None, "v"),
        ("v", "V"),
    ],
)
def test_what_a_finding_is_about_is_said_in_words(subject: str | None, said: str) -> None:
    assert page._said(flag("CLIPPED", "m", "v", subject=subject)) == said


def test_page_of_nothing_says_so() -> None:
    shown = Page(render_page(DatasetReport(name="x", layout="x", scheme="none", digest="0" * 64)))
    assert "0 cases: 0 without findings." in shown.text
    assert shown.all("article") == []


def test_cases_beyond_the_limit_are_listed(report: DatasetReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_CARDS", 1)
    shown = Page(render_page(report))
    assert len(shown.all("article")) == 1
    assert "2 more cases" in shown.text
    assert "CLIPPED, SPECKS" in shown.text


def test_phantom_beyond_the_limit_is_called_one(report: DatasetReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_CARDS", 0)
    (phantom,) = (case for case in report.cases if case.phantom)
    assert f"{phantom.name} (phantom, not a patient)" in Page(render_page(report)).text


def test_check_is_written_beside_what_is_there_and_replaces_an_earlier_one(
    report: DatasetReport, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    (folder / "check.json").write_text("old")
    html, document = write_check(report, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["check.html", "check.json", "mine.txt"]
    assert html.read_text(encoding="utf-8") == render_page(report)
    assert json.loads(document.read_text(encoding="utf-8")) == json.loads(json.dumps(report.to_dict()))


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else False, reason="the root user may write anywhere")
def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(VolumeWriteError, match="choose an output folder"):
        prepare_folder(tmp_path)


def test_file_in_the_folders_place_is_refused(report: DatasetReport, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(VolumeWriteError, match="choose an output folder"):
        write_check(report, tmp_path / "out")


def test_full_disk_leaves_the_earlier_check_and_nothing_else(
    report: DatasetReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "check.html").write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VolumeWriteError, match="No space left"):
        write_check(report, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["check.html"]
    assert (tmp_path / "check.html").read_text() == "old"


def test_missing_jinja_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "find_spec", lambda _: None)
    page._environment.cache_clear()
    with pytest.raises(MissingDependency, match="tds-data\\[report\\]"):
        prepare_folder(tmp_path)
    page._environment.cache_clear()


def test_json_form_holds_counts_codes_and_findings(report: DatasetReport) -> None:
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["schema_version"] == "1.0"
    assert document["notice"] == RESEARCH_USE_NOTICE
    assert document["counts"] == {
        "cases": 3,
        "by_severity": {"error": 1, "warning": 1, "info": 0, "clean": 1},
        "by_code": {"UNREADABLE": 1, "INDEX-PROBLEM": 1, "CLIPPED": 1, "SPECKS": 1},
    }
    assert set(document["codes"]) == {"UNREADABLE", "INDEX-PROBLEM", "CLIPPED", "SPECKS"}
    assert [case["name"] for case in document["cases"]] == ["clean", "warned", "broken"]
    assert document["cases"][1]["findings"][0] == {
        "code": "CLIPPED",
        "severity": "warning",
        "subject": "t1ce",
        "value": "3% of the head",
        "message": "what CLIPPED says",
    }
    assert document["cases"][2]["shape"] is None


def test_weights_are_compared(report: DatasetReport) -> None:
    assert report.reaches(Severity.ERROR)
    calm = DatasetReport(name="x", layout="x", scheme="x", digest="x", cases=report.cases[:2])
    assert not calm.reaches(Severity.ERROR)
    assert calm.reaches(Severity.WARNING)
    assert not DatasetReport(name="x", layout="x", scheme="x", digest="x", cases=report.cases[:1]).reaches(
        Severity.INFO
    )


def test_messages_become_sentences() -> None:
    assert page._sentence("flair is clipped") == "FLAIR is clipped."
    assert page._sentence("the mask marks nothing") == "The mask marks nothing."
