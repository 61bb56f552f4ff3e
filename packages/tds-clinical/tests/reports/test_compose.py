from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tds_clinical.errors import ReportError
from tds_clinical.followup.model import FollowUp
from tds_clinical.measurement import LesionMeasurement
from tds_clinical.reports import ReportOptions, prepare_report, render_html, render_pdf, write_html
from tds_data.case import Case
from tds_data.report import LesionReport, QualityFlag, Severity
from tds_data.volume import Volume

Chosen = Callable[..., ReportOptions]


def test_measurements_of_another_study_are_refused(case: Case, mask: Volume, report: LesionReport) -> None:
    other = ReportOptions(measurements=(LesionMeasurement(lesion=7, diameters={}),))
    with pytest.raises(ReportError, match=r"lesion 7 was measured, but the report has 1 lesion\(s\)"):
        prepare_report(case, mask, report, other)


def test_a_follow_up_that_ends_with_another_study_is_refused(
    case: Case, mask: Volume, report: LesionReport, follow_up: FollowUp
) -> None:
    turned = replace(follow_up, points=follow_up.points[::-1])
    with pytest.raises(ReportError, match=r"has 20\.50 mL of WT and the report .* ends with this study"):
        prepare_report(case, mask, report, ReportOptions(follow_up=turned))
    with pytest.raises(ReportError, match=r"0 time point\(s\) has no change"):
        prepare_report(case, mask, report, ReportOptions(follow_up=replace(follow_up, points=(), changes=())))


def test_a_comparison_with_a_phantom_is_marked_as_one(
    case: Case, mask: Volume, report: LesionReport, follow_up: FollowUp
) -> None:
    first, last = follow_up.points
    mixed = replace(follow_up, points=(replace(first, report=replace(first.report, phantom=True)), last))
    content = prepare_report(case, mask, report, ReportOptions(follow_up=mixed)).content
    assert content.is_phantom
    assert content.phantom_notice.startswith("PHANTOM")
    assert content.title.startswith("Phantom (synthetic)")


def test_the_name_of_a_folder_that_is_no_utf8_can_be_written(
    tmp_path: Path, case: Case, mask: Volume, report: LesionReport
) -> None:
    named = replace(report, case="fall-\udcfc")
    path = tmp_path / "report.html"
    write_html(path, case, mask, named)
    assert "fall-\N{REPLACEMENT CHARACTER}" in path.read_text(encoding="utf-8")
    assert render_pdf(case, mask, named).startswith(b"%PDF")


ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.text("aW .-/\n\t", min_size=60, max_size=300)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.tuples(*[ANY_TEXT] * 6))
def test_any_text_becomes_a_document_or_a_clear_refusal(
    case: Case, mask: Volume, report: LesionReport, full_options: Chosen, words: tuple[str, ...]
) -> None:
    name, message, term, text, label, criteria = words
    options = full_options(heading=((term, text),), model_card=(text, message))
    assert options.follow_up is not None
    first, last = options.follow_up.points
    assessments = (replace(options.follow_up.assessments[0], criteria=criteria, reasons=(message,)),)
    compared = replace(options.follow_up, points=(replace(first, label=label), last), assessments=assessments)
    flag = QualityFlag(code=term, severity=Severity.ERROR, message=message, value=text)
    found = replace(report, case=name, quality=(flag,), interval_method=text)
    chosen = replace(options, follow_up=compared)
    assert "</html>" in render_html(case, mask, found, chosen)
    try:
        document = render_pdf(case, mask, found, chosen)
    except ReportError as error:
        assert "ReportOptions.font" in str(error)  # noqa: PT017  # either outcome is right, whichever comes
    else:
        assert document.startswith(b"%PDF")
