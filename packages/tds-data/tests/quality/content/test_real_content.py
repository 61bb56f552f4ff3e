"""Real patients are left alone, and faults planted into copies of them are named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import CERTAIN, FAULTS

from tds_data import Severity, load_case
from tds_data.discover import discover
from tds_data.quality.content import check_content
from tds_data.quality.content.asymmetry import measure_leaning
from tds_data.quality.content.atlas import place
from tds_data.quality.content.brain import lay_brain
from tds_data.quality.content.view import make_view

pytestmark = pytest.mark.real_data

HELD_OUT = ("BraTS2021_00003", "BraTS2021_01481")


def test_untouched_patients_give_no_error_and_take_half_a_second(
    real_patients: list[Path], timed: Callable[..., list[Any]]
) -> None:
    found = timed("tds_data.quality.content:check_content", real_patients)
    assert len(found) == len(real_patients)
    for entry in found:
        assert all(severity != Severity.ERROR for severity, _ in entry.flags), entry
        assert len(entry.flags) <= 1, entry
    assert sorted(entry.seconds for entry in found)[len(found) // 2] < 1.0


@pytest.mark.parametrize(("fault", "strength"), CERTAIN.items())
def test_planted_fault_is_named_in_a_patient(real_patients: list[Path], fault: str, strength: str) -> None:
    folder = next(folder for folder in real_patients if folder.name == HELD_OUT[1])
    entry = FAULTS[fault]
    flags = check_content(entry.plant[strength](load_case(discover(folder))))
    assert entry.code in {flag.code for flag in flags}, flags


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_patients_lean_as_the_map_says(real_patients: list[Path], name: str) -> None:
    case = load_case(discover(next(folder for folder in real_patients if folder.name == name)))
    view = make_view(case)
    fit = lay_brain(view)
    assert fit is not None
    assert measure_leaning(place(view, fit)) > 0
