import base64
import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tds_clinical.errors import ReportError
from tds_clinical.reports import render_html, write_html
from tds_data.case import Case
from tds_data.report import LesionReport, QualityFlag, Severity
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=y>"
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def document(case: Case, mask: Volume, report: LesionReport) -> str:
    return render_html(case, mask, report)


@pytest.fixture(scope="module")
def page(document: str) -> Page:
    return Page(document)


def test_every_tag_is_closed_and_the_language_is_named(page: Page) -> None:
    assert page.open == []
    assert page.all("html") == [{"lang": "en-GB"}]


def test_the_file_asks_for_nothing_outside_itself(document: str, page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form", "a"}
        assert not {"href", "srcset", "action", "background", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:")
    style = re.findall(r"<style>(.*?)</style>", document, re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    assert "http://" not in document
    assert "https://" not in document


def test_the_policy_allows_this_stylesheet_and_pictures_alone(document: str, page: Page) -> None:
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style = document.split("<style>")[1].split("</style>", maxsplit=1)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_every_picture_is_a_jpeg_of_three_planes_with_words_for_it(page: Page) -> None:
    images = page.all("img")
    assert len(images) == 12
    assert [image["class"] for image in images[:3]] == ["plain", "contour", "fill"]
    for image in images:
        kind, _, data = (image["src"] or "").partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
            assert picture.size == (3 * 384 + 16, 384)
    words = [image["alt"] or "" for image in images]
    assert words[1] == words[0] + ", with the contours of the segmentation"
    assert words[2] == words[0] + ", with the segmentation filled in"
    assert words[0].startswith("FLAIR: axial, coronal and sagittal planes through lesion 1 at x, y, z =")
    assert len(set(words)) == 12


def test_contours_cover_less_than_fills_and_the_plain_picture_has_neither(page: Page) -> None:
    colour = []
    for image in page.all("img")[:3]:
        data = base64.b64decode((image["src"] or "").partition(",")[2])
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture).astype(int)
        colour.append(float((np.ptp(pixels, axis=2) > 40).mean()))
    assert colour[0] == 0.0
    assert 0.002 < colour[1] < colour[2]


def test_the_page_tells_what_was_found_and_how(page: Page, report: LesionReport) -> None:
    lesion = report.lesions[0]
    for words in (
        report.notice,
        "1 lesion found by the model",
        f"{lesion.longest_diameter_mm:.1f}",
        "tds-test, version 0.1.0",
        "SegResNet",
        "CC-BY-4.0",
        report.model.sha256,
        f"Model hash {report.model.sha256[:12]} ",
        "read 1.25 s, infer 3.50 s",
        "Sequences used T1, T1ce, T2, FLAIR",
        "Sequences missing none",
    ):
        assert words in page.text
    assert "Dice" not in page.text
    assert "PHANTOM" not in page.text


def test_warnings_come_first_by_weight(case: Case, mask: Volume, report: LesionReport) -> None:
    error = QualityFlag(code="TEST-ERROR", severity=Severity.ERROR, message="Stop.", value="7")
    text = Page(render_html(case, mask, replace(report, quality=(*report.quality, error)))).text
    places = [text.index(w) for w in ("error TEST-ERROR Stop. (seen: 7)", "warning TEST-WARNING", "info SLICES-THICK")]
    assert places == sorted(places)
    assert places[-1] < text.index("Longest diameter")


def test_a_report_without_flags_or_timings_leaves_their_places_out(
    case: Case, mask: Volume, report: LesionReport
) -> None:
    page = Page(render_html(case, mask, replace(report, quality=(), timings_s={})))
    assert all(attributes.get("class") != "flags" for attributes in page.all("ul"))
    assert "Time taken" not in page.text


def test_a_phantom_is_marked_at_the_top_in_the_title_and_at_its_scores(
    case: Case, mask: Volume, phantom_report: LesionReport
) -> None:
    text = Page(render_html(case, mask, phantom_report)).text
    assert text.startswith("Phantom (synthetic): Tumour segmentation: head")
    assert "PHANTOM: this study is synthetic." in text
    assert "Region Dice (phantom) Whole tumour (WT) 0.910 Tumour core (TC) 0.840 How" in text
    assert "It says nothing about patients" in text


def test_scores_of_a_patient_are_not_called_phantom(case: Case, mask: Volume, phantom_report: LesionReport) -> None:
    text = Page(render_html(case, mask, replace(phantom_report, phantom=False))).text
    assert "Region Dice Whole tumour (WT) 0.910" in text
    assert "phantom" not in text.lower()


def test_no_lesion_reads_sensibly(case: Case, empty_mask: Volume, nothing_found: LesionReport) -> None:
    page = Page(render_html(case, empty_mask, nothing_found))
    assert "No tumour found by the model; this does not exclude one." in page.text
    assert "Middle of the head" in page.text
    assert page.all("table") == []
    assert "Lesions" not in page.text
    assert page.all("input") == []
    assert [image["class"] for image in page.all("img")] == ["plain"] * 4
    assert all("through the middle of the head" in (image["alt"] or "") for image in page.all("img"))


def test_missing_sequences_are_named_and_the_others_shown(
    only: Callable[..., Case], mask: Volume, report: LesionReport
) -> None:
    used = (Modality.T1, Modality.T2)
    page = Page(render_html(only(*used), mask, replace(report, modalities=used)))
    assert "Sequences used T1, T2 Sequences missing T1ce, FLAIR" in page.text
    assert [(image["alt"] or "").split(":")[0] for image in page.all("img")] == ["T2"] * 3 + ["T1"] * 3


def test_many_lesions_are_all_listed_and_pictured_the_largest_on_every_sequence(
    case: Case, mask: Volume, report: LesionReport
) -> None:
    many = tuple(replace(report.lesions[0], number=n) for n in range(1, 6))
    page = Page(render_html(case, mask, replace(report, lesions=many)))
    assert len(page.all("tr")) == 6 + 5 * 4
    shown = [image["class"] for image in page.all("img")]
    assert shown == ["plain", "contour", "fill"] * 12 + ["contour", "fill"] * 2
    assert "The 3 largest of 5 lesions are shown on every sequence" in page.text


def test_hostile_words_stay_words(case: Case, mask: Volume, report: LesionReport) -> None:
    hostile = replace(
        report,
        case=HOSTILE,
        notice=HOSTILE,
        quality=(QualityFlag(code=HOSTILE, severity=Severity.WARNING, message=HOSTILE, value=HOSTILE),),
        model=replace(report.model, name=HOSTILE, version=HOSTILE, licence=HOSTILE, architecture=HOSTILE),
        timings_s={HOSTILE: 1.0},
    )
    page = Page(render_html(case, mask, hostile))
    assert page.all("script") == []
    assert len(page.all("img")) == 12
    assert page.words.count(HOSTILE) >= 2
    assert page.open == []


def test_the_file_holds_the_document_as_utf8(tmp_path: Path, case: Case, mask: Volume, report: LesionReport) -> None:
    path = tmp_path / "report.html"
    named = replace(report, case="Fall Ü 東")
    write_html(path, case, mask, named)
    assert path.read_bytes().decode("utf-8") == render_html(case, mask, named)
    assert "Fall Ü 東" in path.read_text(encoding="utf-8")


def test_a_target_that_cannot_be_written_is_a_report_error(
    tmp_path: Path, case: Case, mask: Volume, report: LesionReport
) -> None:
    with pytest.raises(ReportError, match=r"cannot write the report 'report\.html'"):
        write_html(tmp_path / "absent" / "report.html", case, mask, report)
