from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from tds_clinical.errors import ClinicalDependency
from tds_clinical.followup import Alignment, FollowUp, FollowUpOptions, compare, timeline
from tds_clinical.uids import Uids

from .points import FIRST, SECOND, THIRD, Ball, point

LEFT, RIGHT = Ball(at=(-18, 0, 0), radius=8), Ball(at=(18, 0, 0), radius=6)
SVG = "{http://www.w3.org/2000/svg}"


def followed(*, days: tuple[object, ...] = (FIRST, SECOND, THIRD), phantom: bool = True) -> FollowUp:
    lesions = ([LEFT, RIGHT], [LEFT], [LEFT, RIGHT])
    points = [
        point(balls, day, phantom=phantom)  # type: ignore[arg-type]  # a date or none
        for balls, day in zip(lesions, days, strict=True)
    ]
    return compare(points, FollowUpOptions(alignment=Alignment.HEADERS), uids=Uids("tests"))


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "find_spec", lambda _name: None)
    with pytest.raises(ClinicalDependency, match=r"tds-clinical\[followup\]"):
        timeline.draw_timeline(followed())


def test_the_same_comparison_gives_the_same_pictures() -> None:
    pytest.importorskip("matplotlib")
    found = followed()
    assert timeline.draw_timeline(found) == timeline.draw_timeline(found)
    assert timeline.draw_timeline_svg(found) == timeline.draw_timeline_svg(found)


def test_the_png_is_a_picture_with_ink_on_it() -> None:
    pytest.importorskip("matplotlib")
    image = Image.open(BytesIO(timeline.draw_timeline(followed()))).convert("RGB")
    assert image.size == (1500, 930)
    colours = {colour for _, colour in image.getcolors(1 << 20) or []}
    assert {(0x00, 0x72, 0xB2), (0xB0, 0x18, 0x7A), (255, 255, 255)} <= colours


def test_signs_of_mathematics_are_letters_like_others() -> None:
    pytest.importorskip("matplotlib")
    found = followed()
    odd = tuple(replace(point, label="$x^$", interval_method="$\\frac$") for point in found.points)
    drawn = timeline.draw_timeline_svg(replace(found, points=odd))
    assert "$x^$" in drawn
    assert "Bands: $\\frac$." in drawn


def test_only_phantoms_carry_the_mark() -> None:
    pytest.importorskip("matplotlib")
    image = Image.open(BytesIO(timeline.draw_timeline(followed(phantom=False)))).convert("RGB")
    assert (0xB0, 0x18, 0x7A) not in {colour for _, colour in image.getcolors(1 << 20) or []}


def test_the_svg_says_in_words_what_it_shows() -> None:
    pytest.importorskip("matplotlib")
    root = ET.fromstring(timeline.draw_timeline_svg(followed()))  # noqa: S314  # made a line ago
    assert root.get("role") == "img"
    words = root.findtext(f"{SVG}desc") or ""
    assert words.startswith("PHANTOM")
    assert "2026-03-20: whole tumour 2.10 mL" in words
    assert "lesions: 1 gone" in words
    assert "RANO 2.0: " in words


def test_many_and_undated_points_are_drawn_too() -> None:
    pytest.importorskip("matplotlib")
    found = followed(days=(None, None, None))
    named = [replace(entry, label=f"scan {number}") for number, entry in enumerate(found.points * 3)]
    many = replace(found, points=tuple(named), changes=found.changes[:1] * (len(named) - 1))
    assert timeline.draw_timeline(many).startswith(b"\x89PNG")


def test_nothing_found_is_drawn_as_nothing() -> None:
    pytest.importorskip("matplotlib")
    found = compare([point([]), point([], SECOND)], FollowUpOptions(alignment=Alignment.HEADERS))
    bare = replace(found, points=tuple(replace(entry, interval_method="") for entry in found.points))
    assert timeline.draw_timeline(bare).startswith(b"\x89PNG")
