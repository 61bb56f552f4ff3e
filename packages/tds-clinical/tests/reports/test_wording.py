from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_clinical.reports.wording import millilitres, place, summary
from tds_data.report import LesionReport
from tds_data.vocabulary import Region


@pytest.mark.parametrize(
    ("volume_ml", "text"),
    [(0.0, "0"), (0.009, "< 0.01"), (0.01, "0.01"), (0.5, "0.50"), (1.0, "1.0"), (12.34, "12.3"), (190.55, "190.6")],
)
def test_small_volumes_keep_more_decimals(volume_ml: float, text: str) -> None:
    assert millilitres(volume_ml) == text


@given(st.floats(1e-6, 5000))
def test_a_volume_above_zero_is_never_printed_as_zero(volume_ml: float) -> None:
    assert float(millilitres(volume_ml).removeprefix("< ")) > 0


def test_a_place_has_no_negative_zero() -> None:
    assert place((-0.4, 0.4, -7.6)) == "0, 0, -8"


def test_the_summary_counts_and_nests(report: LesionReport) -> None:
    found = replace(report, volume_ml={Region.WT: 80.0, Region.TC: 20.0})
    expected = "whole tumour 80.0 mL, of which tumour core 20.0 mL, of which enhancing tumour 0 mL."
    assert summary(found) == f"1 lesion found by the model: {expected}"
    assert summary(replace(found, lesions=found.lesions * 2)) == f"2 lesions found by the model: {expected}"


def test_the_summary_of_nothing_excludes_nothing(nothing_found: LesionReport) -> None:
    assert summary(nothing_found) == "No tumour found by the model; this does not exclude one."
