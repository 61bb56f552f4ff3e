from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tds_clinical.reports import ReportOptions, key_pictures, prepare_report
from tds_clinical.reports.album import Album, Shot
from tds_clinical.reports.language import LANGUAGES
from tds_clinical.reports.paint import LABEL_COLOURS, PaintStyle
from tds_data.case import Case
from tds_data.report import LesionReport
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

AMBER = (255, 196, 0)
PLUM = (176, 24, 122)


def share(pixels: np.ndarray, colour: tuple[int, int, int], tolerance: int = 45) -> float:
    return float((np.abs(pixels.astype(int) - colour).sum(axis=2) < tolerance).mean())


def test_each_of_the_largest_lesions_has_a_board_of_its_own(
    case: Case, mask: Volume, many: LesionReport, report: LesionReport
) -> None:
    boards = key_pictures(case, mask, many)
    assert [board.lesion for board in boards] == [1, 2, 3]
    assert [board.title for board in boards] == [f"Lesion {n} of 40" for n in (1, 2, 3)]
    (single,) = key_pictures(case, mask, report)
    assert single.pixels.dtype == np.uint8
    assert single.pixels.shape == (2 * 38 + 122 + 3 * (30 + 384 + 8) + 8, 3 * 384 + 2 * 8 + 40, 3)


def test_contours_fills_legend_and_notice_are_burned_in(case: Case, mask: Volume, report: LesionReport) -> None:
    pixels = key_pictures(case, mask, report)[0].pixels
    for band in (pixels[:38], pixels[-38:]):
        assert share(band, AMBER) > 0.6
        assert 0.005 < share(band, (0, 0, 0), 60) < 0.3
    legend = pixels[38 : 38 + 122]
    rows = [pixels[160 + n * 422 + 30 :][:384] for n in range(3)]
    for colour in LABEL_COLOURS.values():
        assert (legend == colour).all(axis=2).any()
        assert share(rows[0], colour) > 2e-5
    coloured = [float((np.ptp(row.astype(int), axis=2) > 40).mean()) for row in rows]
    assert coloured[1] > 1.5 * coloured[0]


def test_a_board_does_not_change_with_who_the_patient_is(case: Case, mask: Volume, report: LesionReport) -> None:
    anonymous = key_pictures(case, mask, report)[0]
    named = key_pictures(
        replace(case, name="DOE^JOHN"),
        mask,
        replace(report, case="DOE^JOHN"),
        ReportOptions(heading=(("Name", "DOE^JOHN"),), model_card=("DOE^JOHN", "DOE^JOHN")),
    )[0]
    assert (anonymous.pixels == named.pixels).all()
    assert named.title == anonymous.title


def test_a_phantom_is_marked_on_the_board_and_in_every_plane(
    case: Case, mask: Volume, report: LesionReport, phantom_report: LesionReport
) -> None:
    patient = key_pictures(case, mask, report)[0].pixels
    phantom = key_pictures(case, mask, phantom_report)[0].pixels
    assert share(patient, PLUM, 6) == 0.0
    assert share(phantom[38:160], PLUM, 6) > 0.02
    changed = (patient != phantom).any(axis=2)
    for row in range(3):
        bottom = 160 + row * 422 + 30 + 384
        for column in range(3):
            left = 20 + column * 392
            assert changed[bottom - 40 : bottom, left : left + 150].any()


def test_nothing_found_leaves_nothing_to_file(case: Case, empty_mask: Volume, nothing_found: LesionReport) -> None:
    assert key_pictures(case, empty_mask, nothing_found) == ()


@pytest.mark.parametrize("modality", list(Modality))
def test_one_sequence_is_enough(
    only: Callable[..., Case], mask: Volume, report: LesionReport, modality: Modality
) -> None:
    assert key_pictures(only(modality), mask, report)[0].pixels.shape[0] == 2 * 38 + 122 + 2 * 422 + 8


@pytest.mark.parametrize("code", ["de", "es"])
def test_boards_speak_the_language_and_keep_the_english_notice(
    case: Case, mask: Volume, phantom_report: LesionReport, code: str
) -> None:
    words = LANGUAGES[code].words
    (board,) = key_pictures(case, mask, phantom_report, ReportOptions(language=code))  # type: ignore[arg-type]  # both are
    assert board.title == words.lesion_of.format(number=1, count=1)
    english = key_pictures(case, mask, phantom_report)[0].pixels
    assert (board.pixels[:38] != english[:38]).any()
    ink = share(board.pixels[:38], (0, 0, 0), 120)
    assert ink > 1.3 * share(english[:38], (0, 0, 0), 120)


def test_documents_of_one_report_draw_each_picture_once(
    case: Case, mask: Volume, report: LesionReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tds_clinical.reports import album  # noqa: PLC0415  # only here, to count

    drawn: list[tuple[object, ...]] = []
    strip = album.strip

    def counted(greys: object, stop: object, *, style: object, marks: object) -> object:
        drawn.append((id(greys), id(stop), style))
        return strip(greys, stop, style=style, marks=marks)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(album, "strip", counted)
    prepared = prepare_report(case, mask, report)
    prepared.html()
    assert len(drawn) == 12
    prepared.pdf()
    prepared.key_pictures()
    prepared.html()
    assert len(drawn) == len(set(drawn)) == 12


def test_a_picture_is_drawn_when_it_is_asked_for(case: Case, mask: Volume, report: LesionReport) -> None:
    album: Album = prepare_report(case, mask, report).album
    shot = Shot(stop=0, modality=Modality.FLAIR, style=PaintStyle.FILL)
    assert album.image(shot) is album.image(shot)
    assert album.jpeg(shot) is album.jpeg(shot)
    assert album.jpeg(shot)[:2] == b"\xff\xd8"
