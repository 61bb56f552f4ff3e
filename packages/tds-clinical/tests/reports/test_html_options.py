import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tds_clinical.errors import ReportError
from tds_clinical.reports import ReportOptions, render_html
from tds_clinical.reports.language import LANGUAGES
from tds_data.case import Case
from tds_data.report import RESEARCH_USE_NOTICE, LesionReport
from tds_data.vocabulary import Region
from tds_data.volume import Volume

Chosen = Callable[..., ReportOptions]


def body_of(page: str) -> str:
    return page[page.index("<body>") :]


def rows_of(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_page_names_its_language_and_stands_between_two_notices(
    case: Case, mask: Volume, report: LesionReport, code: str
) -> None:
    language = LANGUAGES[code]
    page = render_html(case, mask, report, ReportOptions(language=code))  # type: ignore[arg-type]  # every one of them
    assert f'<html lang="{language.tag}">' in page
    body = body_of(page)
    assert body.count(language.words.notice) == 2
    assert body.count(RESEARCH_USE_NOTICE) == 2
    assert (
        body.index(RESEARCH_USE_NOTICE) < body.index("<main") < body.index("</main>") < body.rindex(RESEARCH_USE_NOTICE)
    )
    assert language.words.lesions in body


@pytest.mark.parametrize("code", ["de", "es"])
def test_what_stays_english_is_marked_as_english(
    case: Case, mask: Volume, report: LesionReport, full_options: Chosen, code: str
) -> None:
    page = render_html(case, mask, report, full_options(language=code))
    for text in (
        RESEARCH_USE_NOTICE,
        "Read with care.",
        "Scanners differ.",
        "Trained on made-up heads.",
    ):
        assert re.search(rf'<(span|p) lang="en">{re.escape(text)}', page)
    assert '<ul lang="en">' in page
    assert LANGUAGES[code].words.english_only in page
    english = render_html(case, mask, report, full_options())
    assert 'lang="en"' not in english
    assert LANGUAGES["en"].words.english_only not in english


def test_another_language_is_refused(case: Case, mask: Volume, report: LesionReport) -> None:
    with pytest.raises(ReportError, match="'fr'; choose one of: en, de, es"):
        render_html(case, mask, report, ReportOptions(language="fr"))  # type: ignore[arg-type]  # an untyped caller's


@pytest.mark.parametrize(
    ("code", "text"), [("en", "{v:.1f} ({a:.1f} to {b:.1f})"), ("de", "{v:.1f} ({a:.1f} bis {b:.1f})")]
)
def test_volumes_carry_their_intervals_and_say_how_these_were_made(
    case: Case, mask: Volume, report: LesionReport, code: str, text: str
) -> None:
    intervals = {region: (0.9 * value, 1.2 * value) for region, value in report.volume_ml.items()}
    lesion = replace(report.lesions[0], volume_interval_ml=intervals)
    found = replace(report, lesions=(lesion,), volume_interval_ml=intervals, interval_method="Drawn from a hat.")
    page = render_html(case, mask, found, ReportOptions(language=code))  # type: ignore[arg-type]  # both are
    value = report.volume_ml[Region.WT]
    expected = text.format(v=value, a=0.9 * value, b=1.2 * value)
    expected = expected.replace(".", ",") if code == "de" else expected
    assert page.count(expected) == 3
    assert "Drawn from a hat." in page
    assert "Drawn from a hat." not in render_html(case, mask, report)


def test_diameters_stand_in_the_table_of_their_lesion(
    case: Case, mask: Volume, report: LesionReport, full_options: Chosen
) -> None:
    page = render_html(case, mask, report, full_options(language="es"))
    rows = rows_of(page)
    whole = next(row for row in rows if row and row[0] == "Tumor completo (WT)" and len(row) == 5)
    core = next(row for row in rows if row and row[0] == "Núcleo del tumor (TC)" and len(row) == 5)
    assert whole[2:] == ["40,2", "31,5", "1268"]
    assert core[2:] == ["-", "-", "-"]
    assert LANGUAGES["es"].words.diameter_note in page
    assert LANGUAGES["en"].words.diameter_note not in render_html(case, mask, report)


def test_what_changed_is_told_with_its_reasons(
    case: Case, mask: Volume, report: LesionReport, full_options: Chosen
) -> None:
    page = render_html(case, mask, report, full_options())
    for text in (
        "<h2>Change since baseline (2025-01-03)</h2>",
        "<h3>RANO 2.0: PD, progressive disease</h3>",
        "<li>There is a new lesion.</li>",
        "Categories are computed from images alone.",
        "no: uncertain",
        "20.5 (19.0 to 22.0); now 46.0 (44.0 to 48.0)",
    ):
        assert text in page
    assert '<img class="timeline" src="data:image/png;base64,' in page
    assert "Change since" not in render_html(case, mask, report)
    without = render_html(case, mask, report, full_options(timeline=None))
    assert 'class="timeline"' not in without


def test_heading_lines_stand_on_the_page_but_not_in_its_title(
    case: Case, mask: Volume, report: LesionReport, full_options: Chosen
) -> None:
    page = render_html(case, mask, report, full_options())
    assert "<dt>Name</dt><dd>Müller, Änne</dd>" in page
    assert "<dt>Made at</dt><dd>2025-06-20 14:05 UTC</dd>" in page
    assert "<title>Tumour segmentation: head</title>" in page
    assert page.count("Müller") == 1
    assert '<dl class="facts heading">' not in render_html(case, mask, report)


def test_every_picture_has_words_and_every_table_names_its_rows_and_columns(
    case: Case, mask: Volume, phantom_report: LesionReport, full_options: Chosen
) -> None:
    page = render_html(case, mask, phantom_report, full_options(language="de"))
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in re.findall(r"<img [^>]*>", page))
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        head, body = table.split("</thead>")
        assert set(re.findall(r"<th[^>]*>", head)) == {"<thead>", '<th scope="col">'}
        assert len(re.findall(r'<tr><th scope="row">', body)) == body.count("<tr>") > 0


def test_any_of_the_ways_to_look_can_be_chosen_without_scripts(case: Case, mask: Volume, report: LesionReport) -> None:
    page = render_html(case, mask, report)
    chosen = re.findall(r'<input type="radio" name="show" id="([\w-]+)"( checked)?>', page)
    assert [name for name, _ in chosen] == [
        "show-plain-contour",
        "show-contour-fill",
        "show-plain",
        "show-contour",
        "show-fill",
    ]
    assert [bool(checked) for _, checked in chosen] == [True, False, False, False, False]
    style = page.split("<style>")[1].split("</style>")[0]
    for name, _ in chosen[1:]:
        assert f"#{name}:checked" in style
    assert "<script" not in page


def test_equal_findings_give_equal_pages(case: Case, mask: Volume, report: LesionReport, full_options: Chosen) -> None:
    assert render_html(case, mask, report, full_options()) == render_html(case, mask, report, full_options())


def test_hostile_words_of_options_stay_words(
    case: Case, mask: Volume, report: LesionReport, full_options: Chosen
) -> None:
    hostile = "</title><script>alert(1)</script>"
    page = render_html(case, mask, report, full_options(heading=((hostile, hostile),), model_card=(hostile, hostile)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 4
