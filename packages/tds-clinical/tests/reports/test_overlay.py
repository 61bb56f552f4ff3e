from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tds_clinical.errors import ReportError
from tds_clinical.reports import LABEL_COLOURS, overlay_image, write_overlay
from tds_data.case import Case
from tds_data.report import LesionReport
from tds_data.vocabulary import Label, Modality
from tds_data.volume import Volume

HEADER = 38 + 132
ROW = 34 + 416 + 8
AMBER = (255, 196, 0)
PLUM = (176, 24, 122)


def share_near(board: Image.Image, colour: tuple[int, int, int]) -> float:
    """Return the share of the picture's pixels below the header that nearly have this colour."""
    pixels = np.asarray(board)[HEADER:].astype(int)
    return float((np.abs(pixels - colour).sum(axis=2) < 45).mean())


def holds(board: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(board) == colour).all(axis=2).any())


def test_a_board_has_one_row_for_each_sequence_that_the_lesion_needs(
    case: Case, mask: Volume, report: LesionReport
) -> None:
    board = overlay_image(case, mask, report)
    assert board.mode == "RGB"
    assert board.size == (1304, HEADER + 2 * ROW + 12)


def test_every_label_is_outlined_in_its_colour_and_listed_in_the_legend(
    case: Case, mask: Volume, report: LesionReport
) -> None:
    board = overlay_image(case, mask, report)
    for label in (Label.NCR, Label.ED, Label.ET):
        assert share_near(board, LABEL_COLOURS[label]) > 2e-4
        assert holds(board.crop((0, 0, 1304, HEADER)), LABEL_COLOURS[label])


def test_the_board_says_research_use_only(case: Case, mask: Volume, report: LesionReport) -> None:
    board = overlay_image(case, mask, report)
    assert board.getpixel((650, 5)) == AMBER
    silent = overlay_image(case, mask, replace(report, notice=""))
    assert silent.tobytes() == board.tobytes()
    said = np.asarray(board)[:38]
    assert 0.02 < (said.sum(axis=2) < 60).mean() < 0.3


def test_another_notice_is_shown_beside_the_usual_one(case: Case, mask: Volume, report: LesionReport) -> None:
    usual = np.asarray(overlay_image(case, mask, report))[:38]
    longer = np.asarray(overlay_image(case, mask, replace(report, notice="Only for the study group. " * 9)))[:38]
    assert (longer.sum(axis=2) < 200).sum() > (usual.sum(axis=2) < 200).sum()
    assert (longer[:, :18] == AMBER).all()
    assert (longer[:, -18:] == AMBER).all()


def test_the_board_speaks_the_language_that_was_asked_for(case: Case, mask: Volume, report: LesionReport) -> None:
    english = overlay_image(case, mask, report)
    german = overlay_image(case, mask, report, language="de")
    assert german.size == english.size
    assert german.tobytes() != english.tobytes()
    with pytest.raises(ReportError, match=r"'fr'; choose one of: en, de, es"):
        overlay_image(case, mask, report, language="fr")  # type: ignore[arg-type]  # what a caller without types may do


def test_a_phantom_is_marked_on_the_board_and_in_every_plane(
    case: Case, mask: Volume, report: LesionReport, phantom_report: LesionReport
) -> None:
    patient, phantom = overlay_image(case, mask, report), overlay_image(case, mask, phantom_report)
    assert holds(phantom, PLUM)
    assert not holds(patient, PLUM)
    changed = (np.asarray(patient) != np.asarray(phantom)).any(axis=2)
    for row in range(2):
        for column in range(3):
            left, bottom = 20 + column * 424, HEADER + row * ROW + 34 + 416
            assert changed[bottom - 40 : bottom, left : left + 150].any()


def test_at_most_three_lesions_are_pictured(case: Case, mask: Volume, report: LesionReport) -> None:
    many = tuple(replace(report.lesions[0], number=n) for n in range(1, 6))
    assert overlay_image(case, mask, replace(report, lesions=many)).height == HEADER + 6 * ROW + 12


def test_without_a_lesion_the_board_shows_the_middle_of_the_head_uncoloured(
    case: Case, empty_mask: Volume, nothing_found: LesionReport
) -> None:
    board = overlay_image(case, empty_mask, nothing_found)
    assert board.height == HEADER + ROW + 12
    assert share_near(board, LABEL_COLOURS[Label.ET]) == 0.0


@pytest.mark.parametrize("modality", list(Modality))
def test_one_sequence_is_enough(
    only: Callable[..., Case], mask: Volume, report: LesionReport, modality: Modality
) -> None:
    assert overlay_image(only(modality), mask, report).height == HEADER + ROW + 12


@settings(max_examples=12, deadline=None)
@given(
    order=st.permutations([0, 1, 2]).map(tuple),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_how_the_file_was_stored_does_not_change_a_pixel(
    case: Case,
    mask: Volume,
    report: LesionReport,
    reoriented: Callable[..., Volume],
    order: tuple[int, int, int],
    flips: tuple[bool, bool, bool],
) -> None:
    images = {m: reoriented(v, order, flips) for m, v in case.images.items() if m in (Modality.FLAIR, Modality.T1CE)}
    stored = Case(name=case.name, images=images)
    expected = overlay_image(case, mask, report)
    assert overlay_image(stored, reoriented(mask, order, flips), report).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["x" * 400, "two\nlines\x00", "", "<b>&"])
def test_any_name_fits_into_the_title(case: Case, mask: Volume, phantom_report: LesionReport, name: str) -> None:
    board = overlay_image(case, mask, replace(phantom_report, case=name))
    badge = np.asarray(board)[38 + 16 : 38 + 52, 1304 - 20 - 240 : 1304 - 20 - 2]
    assert (badge == PLUM).all(axis=2).mean() > 0.6


def test_the_file_is_a_png_of_the_board(tmp_path: Path, case: Case, mask: Volume, report: LesionReport) -> None:
    path = tmp_path / "overlay.png"
    write_overlay(path, case, mask, report)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.tobytes() == overlay_image(case, mask, report).tobytes()


def test_a_target_that_cannot_be_written_is_a_report_error(
    tmp_path: Path, case: Case, mask: Volume, report: LesionReport
) -> None:
    with pytest.raises(ReportError, match=r"cannot write the picture 'overlay\.png'"):
        write_overlay(tmp_path / "absent" / "overlay.png", case, mask, report)
