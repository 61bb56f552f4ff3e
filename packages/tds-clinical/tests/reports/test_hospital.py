import io
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from pypdf import PdfReader

from tds_clinical.errors import ReportError
from tds_clinical.reports import ReportOptions, prepare_report, render_html, render_pdf
from tds_clinical.reports.content import Content
from tds_clinical.reports.hospital import context_of
from tds_data.case import Case
from tds_data.report import RESEARCH_USE_NOTICE, LesionReport
from tds_data.volume import Volume

LETTER = """{# the hospital's letter #}
<style>.letter { color: navy; }</style>
<div class="letter">
<h1>St Elsewhere</h1>
<p>{% for fact in heading %}{{ fact.term }}: {{ fact.text }}<br>{% endfor %}
<p>{{ summary }}
<p>{{ report.volume_ml.WT | ml }} / {{ report.lesions[0].longest_diameter_mm | number(2) }} /
{{ report.lesions[0].centroid_mm | place }}
{% for part in lesions %}
<table>{% for row in part.table.rows %}<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}{% endfor %}</table>
<img src="{{ part.figures[0].contour.url }}" alt="{{ part.figures[0].contour.alt }}">
{% endfor %}
</div>
"""
PAGES = """<h1>St Elsewhere</h1>
<p>{{ summary }}</p>
<ul>{% for flag in flags %}<li>{{ flag.message }}</li>{% endfor %}</ul>
<table><thead><tr><th>{{ words.region }}</th><th>mL</th></tr></thead>
<tbody>{% for row in lesions[0].table.rows %}
<tr><td>{{ row[0] }}</td><td>{{ row[1] }}</td></tr>
{% endfor %}</tbody></table>
<img src="{{ lesions[0].figures[0].fill.url }}" alt="{{ lesions[0].figures[0].fill.alt }}" width="400">
"""

Made = Callable[..., str]


@pytest.fixture
def made(tmp_path: Path, case: Case, mask: Volume, report: LesionReport) -> Made:
    """Return the HTML report in a template of these words."""

    def render(text: str, *, of: LesionReport = report, name: str = "letter.html.j2", **options: object) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return render_html(case, mask, of, ReportOptions(template=path, **options))  # type: ignore[arg-type]  # any option

    return render


def test_a_template_lays_out_the_findings_in_its_own_way(made: Made, report: LesionReport) -> None:
    page = made(LETTER, language="de", heading=(("Name", "Müller <b>"),))
    assert "<h1>St Elsewhere</h1>" in page
    assert ".letter { color: navy; }" in page
    assert "Name: Müller &lt;b&gt;<br>" in page
    assert "Das Modell hat 1 Läsion gefunden" in page
    whole = f"{report.lesions[0].volume_ml[next(iter(report.volume_ml))]:.1f}".replace(".", ",")
    assert f"<p>{whole} / 39,40 /" in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert "mit den Konturen der Segmentierung" in page
    assert '<html lang="de">' in page


def test_the_notice_stands_above_and_below_whatever_a_template_makes(made: Made, phantom_report: LesionReport) -> None:
    page = made("<p>Nothing else.", of=phantom_report)
    body = page[page.index("<body>") :]
    assert body.count(RESEARCH_USE_NOTICE) == 2
    assert body.count("PHANTOM: this study is synthetic.") == 2
    assert body.index(RESEARCH_USE_NOTICE) < body.index("Nothing else.") < body.rindex(RESEARCH_USE_NOTICE)


def test_a_page_of_a_template_can_fetch_and_run_nothing(made: Made) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', made("<p>x"))
    assert policy is not None
    assert policy[1].replace("&#39;", "'") == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )


def test_a_template_may_include_its_neighbours_but_nothing_above_them(made: Made, tmp_path: Path) -> None:
    (tmp_path / "head.j2").write_text("<h1>From next door</h1>", encoding="utf-8")
    assert "From next door" in made('{% include "head.j2" %}')
    with pytest.raises(ReportError, match=r"template '\.\./secret' is not there or cannot be read"):
        made('{% include "../secret" %}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<p>\n{{ summary", r"'letter\.html\.j2' is wrong in line 2"),
        ("<p>\n\n{% if %}", r"'letter\.html\.j2' is wrong in line 3"),
        ("<p>\n{{ sumary }}", r"line 2 of the template 'letter\.html\.j2' .*'sumary' is undefined"),
        ("<p>\n\n{{ report.volumes }}", r"line 3 of the template .*no attribute 'volumes'"),
        ("{{ 1 / 0 }}", r"line 1 of the template .*ZeroDivisionError"),
        ("{{ summary | shout }}", r"is wrong in line 1: No filter named 'shout'"),
        ("{{ summary.__class__.__mro__ }}", r"line 1 of the template .*'__class__' .*unsafe"),
        ("{{ report.update({'case': 'x'}) }}", r"line 1 of the template .*update"),
        ('{% include "absent.j2" %}', r"template 'absent\.j2' is not there"),
    ],
)
def test_a_wrong_template_is_refused_with_the_line(made: Made, text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        made(text)


def test_a_template_that_is_not_there_is_refused(
    tmp_path: Path, case: Case, mask: Volume, report: LesionReport
) -> None:
    with pytest.raises(ReportError, match=r"template 'absent\.j2' is not there") as caught:
        render_html(case, mask, report, ReportOptions(template=tmp_path / "absent.j2"))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("text", ["{{ words[heading[0].text] }}", "{{ {}[heading[0].text] }}"])
def test_no_message_holds_what_the_heading_says(made: Made, text: str) -> None:
    with pytest.raises(ReportError) as caught:
        made(text, heading=(("Name", "Doe^John"),))
    assert "Doe" not in str(caught.value)
    assert "line 1 of the template" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<script>1</script>", "makes <script>"),
        ("<p onclick='x()'>", "gives <p> the attribute onclick"),
        ("</main><p>", "closes <main>"),
        ("<body><p>", "makes <body>"),
        ('<link rel="x">', "makes <link>"),
        ("<plaintext>x</plaintext>", "makes <plaintext>"),
        ("<div><p>x", "leaves <div> open, which begins in line 1"),
        ("<p>x</div>", "closes <div>, which is not open"),
        ("<div></span></div>", "closes <span>"),
        ("<p><!-- swallow the rest", "makes a (bare <|comment)"),
        ("<p><!-- x --></p>", "makes a comment"),
        ("<!DOCTYPE html><p>", "makes a declaration"),
        ("<?php x ?>", "makes a declaration"),
        ("<![CDATA[x]]>", "makes a (declaration|comment)"),
        ('<img src="https://example.org/x.png" alt="x">', "shows a picture that is not a data URL"),
        ('<img alt="x">', "shows a picture that is not a data URL"),
        ('<img src="data:image/png;base64,AAAA">', "shows a picture without words"),
        ("<style>p { }", "leaves <style> open"),
        ("<p>x <b", "makes a bare <"),
        ("<p>1 < 2", "makes a bare <"),
    ],
)
def test_what_would_hide_the_notice_or_fetch_something_is_refused(made: Made, text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        made(text)


def test_no_style_of_a_template_outdoes_that_of_the_notice(made: Made, phantom_report: LesionReport) -> None:
    page = made("<style>.tds-notice, .tds-phantom { display: none !important; }</style><p>x", of=phantom_report)
    bands = re.findall(r'<div class="tds-(?:notice|phantom)"[^>]*>', page)
    assert len(bands) == 4
    assert all("display: block !important; visibility: visible !important" in band for band in bands)


def test_the_built_in_report_has_no_style_outside_its_sheet(
    case: Case, mask: Volume, phantom_report: LesionReport
) -> None:
    assert " style=" not in render_html(case, mask, phantom_report)


@pytest.mark.parametrize(
    "text",
    [
        "<p>a<p>b",
        "<ul><li>a<li>b</ul>",
        "<br/><hr></br>",
        "<p>1 &lt; 2 &#60; 3",
        '<img src="data:image/png;base64,AA" alt="">',
    ],
)
def test_html_that_closes_by_itself_is_fine(made: Made, text: str) -> None:
    assert text in made(text)


def test_a_template_for_pdf_is_not_one_for_html(
    made: Made, tmp_path: Path, case: Case, mask: Volume, report: LesionReport
) -> None:
    with pytest.raises(ReportError, match=r"'x\.pdf\.j2' is one for PDF; give it as ReportOptions\.pdf_template"):
        made("<p>", name="x.pdf.j2")
    (tmp_path / "x.html.j2").write_text("<p>")
    with pytest.raises(ReportError, match=r"'x\.html\.j2' is not named as one for PDF; let its name end in \.pdf\.j2"):
        render_pdf(case, mask, report, ReportOptions(pdf_template=tmp_path / "x.html.j2"))


Pages = Callable[..., bytes]


@pytest.fixture
def pages(tmp_path: Path, case: Case, mask: Volume, phantom_report: LesionReport) -> Pages:
    """Return the PDF report in a template of these words."""

    def render(text: str, **options: object) -> bytes:
        path = tmp_path / "letter.pdf.j2"
        path.write_text(text, encoding="utf-8")
        chosen = ReportOptions(pdf_template=path, **options)  # type: ignore[arg-type]  # any option
        return render_pdf(case, mask, phantom_report, chosen)

    return render


def test_a_template_makes_the_pages_between_the_bands(pages: Pages) -> None:
    document = pages(PAGES, heading=(("Name", "Müller"),))
    reader = PdfReader(io.BytesIO(document))
    said = " ".join(" ".join(page.extract_text().split()) for page in reader.pages)
    for words in (
        "St Elsewhere",
        "1 lesion found by the model",
        "Read with care.",
        "Whole tumour (WT)",
        "Name: Müller",
    ):
        assert words in said
    assert "PHANTOM: this study is synthetic." in said
    assert said.count(RESEARCH_USE_NOTICE) == 2 * len(reader.pages)
    assert "filled in" in str(reader.trailer["/Root"]["/StructTreeRoot"]["/K"]) or b"filled in" in document
    assert document == pages(PAGES, heading=(("Name", "Müller"),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<p>{{ sumary }}</p>", r"line 1 of the template 'letter\.pdf\.j2'"),
        ("<style>p { }</style>", "makes <style>"),
        ("<tr><td>x</td></tr>", r"cannot be laid out on pages \(FPDFException\)"),
        ("<p>東</p>", r"U\+6771"),
        ('<img src="data:image/png;base64,AAAA" alt="x">', "cannot be laid out on pages"),
        ('<img src="file:///etc/hostname" alt="x">', "is not a data URL"),
    ],
)
def test_pages_that_cannot_be_laid_out_are_refused(pages: Pages, text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        pages(text)


def test_the_variables_are_the_content_and_four_more(case: Case, mask: Volume, report: LesionReport) -> None:
    prepared = prepare_report(case, mask, report)
    names = set(context_of(prepared.content, report, prepared.language))
    assert names == {field.name for field in fields(Content)} | {"language", "words", "report", "legend"}
