import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest
from PIL import Image, ImageFont
from pypdf import PdfReader
from pypdf.generic import BooleanObject, IndirectObject

from tds_clinical.errors import ReportError
from tds_clinical.followup.model import FollowUp
from tds_clinical.reports import ReportOptions, render_html, render_pdf, write_pdf
from tds_clinical.reports.language import LANGUAGES
from tds_data.case import Case
from tds_data.report import RESEARCH_USE_NOTICE, LesionReport, QualityFlag, Severity
from tds_data.vocabulary import Modality, Region
from tds_data.volume import Volume

SCALE = 1.0  # pixels of a point
PAPER = 255


def read(document: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(document))


def texts(document: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in read(document).pages]


def pages(document: bytes) -> list[np.ndarray]:
    opened = pypdfium2.PdfDocument(document)
    drawn = [opened[number].render(scale=SCALE).to_numpy()[..., 2::-1] for number in range(len(opened))]
    opened.close()
    return drawn


def elements(node: Any) -> Iterator[Any]:
    node = node.get_object() if isinstance(node, IndirectObject) else node
    if isinstance(node, list):
        for child in node:
            yield from elements(child)
    elif isinstance(node, dict):
        if "/S" in node:
            yield node
        if "/K" in node:
            yield from elements(node["/K"])


def words_of_pictures(document: bytes) -> list[str]:
    root = read(document).trailer["/Root"]["/StructTreeRoot"]
    return [str(element["/Alt"]) for element in elements(root) if "/Alt" in element]


@pytest.fixture(scope="module")
def plain(case: Case, mask: Volume, report: LesionReport) -> bytes:
    return render_pdf(case, mask, report)


@pytest.fixture(scope="module")
def full(case: Case, mask: Volume, phantom_report: LesionReport, full_options: Callable[..., ReportOptions]) -> bytes:
    return render_pdf(case, mask, phantom_report, full_options(language="de"))


def test_every_page_has_the_notice_at_the_top_and_bottom_and_its_number(plain: bytes) -> None:
    found = texts(plain)
    assert len(found) >= 2
    for number, text in enumerate(found, start=1):
        assert text.count(RESEARCH_USE_NOTICE) == 2
        assert f"Page {number} of {len(found)} " in text
        assert "PHANTOM" not in text


def test_every_page_of_a_phantom_says_so_and_whom_the_document_is_filed_under(full: bytes) -> None:
    for text in texts(full):
        assert "PHANTOM: Diese Untersuchung ist künstlich." in text
        assert "Name: Müller, Änne" in text
        assert RESEARCH_USE_NOTICE in text
        assert text.count("Nur für Forschungszwecke.") == 2


def test_bands_of_the_notice_and_the_phantom_run_across_every_page(full: bytes) -> None:
    for page in pages(full):
        assert np.abs(page[2] - np.array([255, 196, 0])).max() <= 3
        assert np.abs(page[-2] - np.array([255, 196, 0])).max() <= 3
        plum = (np.abs(page.astype(int) - (176, 24, 122)).max(axis=2) <= 3).mean(axis=1)
        assert plum.max() == 1.0


def test_the_document_names_itself_and_its_language(full: bytes, plain: bytes) -> None:
    german, english = read(full), read(plain)
    assert german.trailer["/Root"]["/Lang"] == "de"
    assert english.trailer["/Root"]["/Lang"] == "en-GB"
    assert english.trailer["/Root"]["/ViewerPreferences"]["/DisplayDocTitle"] == BooleanObject(value=True)
    assert english.metadata is not None
    assert german.metadata is not None
    assert english.metadata.title == "Tumour segmentation: head"
    assert german.metadata.title == "Phantom (künstlich): Tumorsegmentierung: head"
    assert "Müller" not in str(german.metadata)


def test_every_part_has_a_bookmark(full: bytes) -> None:
    def names(outline: list[Any]) -> list[str]:
        found: list[str] = []
        for entry in outline:
            found += names(entry) if isinstance(entry, list) else [entry.title]
        return found

    assert names(read(full).outline) == [
        "Segmentierung eines Hirntumors im MRT, von einem Programm erstellt",
        "Qualität der Untersuchung",
        "Veränderung seit baseline (2025-01-03)",
        "RANO 2.0: PD, progrediente Erkrankung",
        "RECIST 1.1: unsicher: SD, stabile Erkrankung oder PD, progrediente Erkrankung",
        "Verlauf über alle Zeitpunkte",
        "Läsionen",
        "Bilder",
        "Läsion 1",
        "Übereinstimmung mit der Referenzmaske",
        "Wie dies entstanden ist",
        "Das Modell in zwei Zeilen",
    ]


def test_every_picture_has_words_for_it(full: bytes, plain: bytes) -> None:
    drawn = sum(len(page.images) for page in read(full).pages)
    words = words_of_pictures(full)
    assert drawn == len(words) == 6
    assert words[0].startswith("Volumina der Regionen")
    assert words[1].startswith("FLAIR: axiale, koronare und sagittale Ebene durch Läsion 1 bei x, y, z =")
    assert words[1].endswith("mit den Konturen der Segmentierung")
    assert words[2].endswith("mit gefüllter Segmentierung")
    assert len(set(words)) == 6
    assert len(words_of_pictures(plain)) == 5


def test_the_pages_say_what_the_html_says(
    case: Case, mask: Volume, report: LesionReport, full_options: Callable[..., ReportOptions]
) -> None:
    said = " ".join(texts(render_pdf(case, mask, report, full_options())))
    page = render_html(case, mask, report, full_options())
    for words in (
        "1 lesion found by the model",
        "Read with care.",
        "Made at 2025-06-20 14:05 UTC",
        "RANO 2.0: PD, progressive disease",
        "The sum grew by more than 25 %.",
        "no: uncertain",
        "40.2 31.5 1268",
        "Trained on made-up heads.",
        "tds-test, version 0.1.0",
        report.model.sha256,
        "Result schema 1.2.",
    ):
        assert words in said
    for words in ("no: uncertain", "Trained on made-up heads.", "<td>40.2</td><td>31.5</td><td>1268</td>"):
        assert words in page


@pytest.fixture(scope="module")
def crowded(case: Case, mask: Volume, many: LesionReport) -> bytes:
    return render_pdf(case, mask, many)


def test_nothing_is_drawn_in_the_margins(crowded: bytes) -> None:
    for page in pages(crowded):
        body = page[60:-50]
        assert (body[:, :38] == PAPER).all()
        assert (body[:, -38:] == PAPER).all()
        assert (page[-50:-44] == PAPER).all()


def test_forty_lesions_and_thirty_flags_are_all_told(crowded: bytes, many: LesionReport) -> None:
    found = texts(crowded)
    said = " ".join(found)
    for number in range(1, 41):
        assert f"Lesion {number} Region Volume, mL" in said
    for number in range(1, 31):
        assert f"WARNING CHECK-{number} " in said
    first = many.lesions[0].volume_ml[Region.WT]
    assert f"{first:.1f} ({0.9 * first:.1f} to {1.1 * first:.1f})" in said
    assert "How the intervals were made: Made up for a test." in said
    heads = [text for text in found if "Lesion WT, mL TC, mL ET, mL" in text]
    assert len(heads) >= 2


def test_a_lesion_stays_with_its_table_and_pictures(crowded: bytes) -> None:
    for text in texts(crowded):
        for number in range(4, 41):
            if f"Lesion {number} Region" in text:
                rest = text.split(f"Lesion {number} Region", maxsplit=1)[1]
                assert "Enhancing tumour (ET)" in rest
                assert "FLAIR, contours" in rest


def test_no_lesion_shows_the_middle_of_the_head(case: Case, empty_mask: Volume, nothing_found: LesionReport) -> None:
    document = render_pdf(case, empty_mask, nothing_found)
    said = " ".join(texts(document))
    assert "No tumour found by the model; this does not exclude one." in said
    assert "Middle of the head FLAIR" in said
    assert "Lesions" not in said
    assert [words.split(":")[0] for words in words_of_pictures(document)] == ["FLAIR", "T1ce", "T2", "T1"]


def test_missing_sequences_are_named(only: Callable[..., Case], mask: Volume, report: LesionReport) -> None:
    used = (Modality.T1,)
    document = render_pdf(only(*used), mask, replace(report, modalities=used, quality=(), timings_s={}))
    assert "Sequences missing T1ce, T2, FLAIR" in " ".join(texts(document))
    assert len(words_of_pictures(document)) == 2


def test_a_follow_up_without_categories_changes_or_picture_shows_its_course_alone(
    case: Case, mask: Volume, report: LesionReport, follow_up: FollowUp
) -> None:
    bare = replace(follow_up, assessments=(), changes=((),), quality=())
    document = render_pdf(case, mask, report, ReportOptions(follow_up=bare))
    said = " ".join(texts(document))
    assert "Change since baseline (2025-01-03) Course over all time points Time point Date" in said
    assert "Larger than the intervals?" not in said
    assert "images alone" not in said
    assert len(words_of_pictures(document)) == 5


def test_a_category_without_sums_and_a_high_picture_of_the_course_fit(
    case: Case, mask: Volume, report: LesionReport, follow_up: FollowUp
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 400), (0, 90, 0)).save(buffer, "JPEG")
    unsummed = replace(follow_up, assessments=(replace(follow_up.assessments[0], sum_mm=()),))
    options = ReportOptions(follow_up=unsummed, timeline=buffer.getvalue())
    document = render_pdf(case, mask, report, options)
    assert "Sum at each time point" not in " ".join(texts(document))
    green = [(np.abs(page.astype(int) - (0, 90, 0)).max(axis=2) < 12).any(axis=1) for page in pages(document)]
    (rows,) = [np.flatnonzero(page) for page in green if page.any()]
    assert 280 < np.ptp(rows) < 330
    assert rows.max() < 842 - 50


def test_wide_volumes_shrink_into_their_boxes(case: Case, mask: Volume, report: LesionReport) -> None:
    huge = dict.fromkeys(report.volume_ml, 123456789.0)
    wide = replace(report, volume_ml=huge, volume_interval_ml={region: (v, v) for region, v in huge.items()})
    said = " ".join(texts(render_pdf(case, mask, wide)))
    assert said.count("123456789.0 (123456789.0 to 123456789.0) mL") == 3


def test_a_flag_longer_than_a_page_goes_on_over_the_next(case: Case, mask: Volume, report: LesionReport) -> None:
    endless = QualityFlag(code="LONG", severity=Severity.ERROR, message="word " * 4000)
    found = texts(render_pdf(case, mask, replace(report, quality=(endless,))))
    assert sum(text.count("word") for text in found) == 4000


@pytest.mark.parametrize("code", LANGUAGES)
def test_equal_findings_give_equal_bytes(case: Case, mask: Volume, report: LesionReport, code: str) -> None:
    options = ReportOptions(language=code)  # type: ignore[arg-type]  # every one of them
    document = render_pdf(case, mask, report, options)
    assert document == render_pdf(case, mask, report, options)
    assert document != render_pdf(case, mask, replace(report, case="other"), options)


def test_the_date_is_the_one_that_was_given_or_none(case: Case, mask: Volume, report: LesionReport) -> None:
    undated = read(render_pdf(case, mask, report)).metadata
    assert undated is not None
    assert "/CreationDate" not in undated
    when = datetime(2025, 6, 20, 14, 5, tzinfo=UTC)
    dated = render_pdf(case, mask, report, ReportOptions(made_at=when))
    assert dated == render_pdf(case, mask, report, ReportOptions(made_at=when))
    metadata = read(dated).metadata
    assert metadata is not None
    assert metadata.creation_date == when


def test_a_letter_that_the_font_lacks_is_refused_and_the_font_named(
    case: Case, mask: Volume, report: LesionReport
) -> None:
    with pytest.raises(ReportError, match=r"no letter '東' \(U\+6771\); .* ReportOptions\.font"):
        render_pdf(case, mask, replace(report, case="東"))
    with pytest.raises(ReportError, match=r"U\+0142"):
        render_pdf(case, mask, report, ReportOptions(heading=(("Name", "Łukasz Wałęsa".lower()),)))


def test_western_european_letters_need_no_font(case: Case, mask: Volume, report: LesionReport) -> None:
    name = "Ærø Ñandú Œuvre Ž š „€“ ¿ß"
    said = texts(render_pdf(case, mask, report, ReportOptions(heading=(("Name", name),))))
    assert all(name in text for text in said)


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the font of Pillow, which has a fraction slash and no umlauts."""
    path = tmp_path_factory.mktemp("font") / "letters.ttf"
    letters = ImageFont.load_default(10)
    assert isinstance(letters, ImageFont.FreeTypeFont)
    assert isinstance(letters.path, io.BytesIO)
    path.write_bytes(letters.path.getvalue())
    return path


def test_a_font_of_the_callers_writes_its_letters_and_refuses_others(
    case: Case, mask: Volume, report: LesionReport, font: Path
) -> None:
    named = replace(report, case="head 3\N{FRACTION SLASH}4")
    with pytest.raises(ReportError, match=r"U\+2044"):
        render_pdf(case, mask, named)
    said = texts(render_pdf(case, mask, named, ReportOptions(font=font)))
    assert all("head 3\N{FRACTION SLASH}4" in text for text in said)
    assert f"Page 1 of {len(said)}" in said[0]
    with pytest.raises(ReportError, match="no letter 'ü'"):
        render_pdf(case, mask, named, ReportOptions(font=font, language="de"))


def test_a_file_that_is_no_font_is_refused(tmp_path: Path, case: Case, mask: Volume, report: LesionReport) -> None:
    path = tmp_path / "letters.ttf"
    path.write_text("no font")
    with pytest.raises(ReportError, match=r"'letters\.ttf' cannot be read as a TrueType font \(other first bytes\)"):
        render_pdf(case, mask, report, ReportOptions(font=path))
    with pytest.raises(ReportError, match=r"'absent\.ttf' cannot be read as a TrueType font \(No such file"):
        render_pdf(case, mask, report, ReportOptions(font=tmp_path / "absent.ttf"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # fpdf2 leaves the file open
def test_a_damaged_font_is_refused(tmp_path: Path, case: Case, mask: Volume, report: LesionReport, font: Path) -> None:
    path = tmp_path / "damaged.ttf"
    path.write_bytes(font.read_bytes()[:200])
    with pytest.raises(ReportError, match=r"'damaged\.ttf' cannot be read as a TrueType font"):
        render_pdf(case, mask, report, ReportOptions(font=path))


@pytest.mark.parametrize("name", ["x" * 400, "two\nlines\x00", "", "<b>&", "{nb}"])
def test_any_name_fits_onto_the_page(case: Case, mask: Volume, report: LesionReport, name: str) -> None:
    for page in pages(render_pdf(case, mask, replace(report, case=name))):
        assert (page[60:-50, -38:] == PAPER).all()


def test_the_file_holds_the_document(tmp_path: Path, case: Case, mask: Volume, report: LesionReport) -> None:
    path = tmp_path / "report.pdf"
    write_pdf(path, case, mask, report)
    assert path.read_bytes() == render_pdf(case, mask, report)
    with pytest.raises(ReportError, match=r"cannot write the report 'report\.pdf'"):
        write_pdf(tmp_path / "absent" / "report.pdf", case, mask, report)
