import re
from dataclasses import replace
from html.parser import HTMLParser

from tds_clinical.followup import Alignment, AlignmentSummary, FollowUp, FollowUpOptions, compare
from tds_clinical.followup.page import render_page
from tds_clinical.uids import Uids
from tds_data.report import QualityFlag, Severity

from .points import SECOND, Ball, point

LEFT, RIGHT, TOP = Ball(at=(-18, 0, 0), radius=8), Ball(at=(18, 0, 0), radius=6), Ball(at=(0, 0, 24), radius=5)
PICTURE = b"\x89PNG"


class Reader(HTMLParser):
    """Collects text, and what tags bring."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def followed(*, phantom: bool = False) -> FollowUp:
    points = [point([LEFT, TOP], phantom=phantom), point([LEFT, RIGHT], SECOND, phantom=phantom)]
    return compare(points, FollowUpOptions(alignment=Alignment.HEADERS), uids=Uids("tests"))


def test_the_page_tells_lesions_categories_and_reasons() -> None:
    page = Reader(render_page(followed(), PICTURE))
    for words in ("found again", "new", "gone", "RANO 2.0: PD", "RECIST 1.1: PD", "That is progression.", "Wen et al."):
        assert words in page.text
    assert "whole tumour beyond the intervals" in page.text
    assert "2.10 → 2.10 (+0%)" in page.text
    assert re.search(r"0\.00 → 0\.9\d \(from nothing\)", page.text)


def test_the_page_says_what_it_is_not() -> None:
    page = Reader(render_page(followed(), PICTURE))
    assert page.text.count("Research use only. Not a medical device.") == 2
    assert "computed from images alone" in page.text
    assert "PHANTOM" not in page.text
    assert "PHANTOM" in Reader(render_page(followed(phantom=True), PICTURE)).text


def test_the_picture_has_words_and_nothing_comes_from_outside() -> None:
    page = Reader(render_page(followed(), PICTURE))
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert (image["alt"] or "").startswith("Volumes over time.")
    assert (image["src"] or "").startswith("data:image/png;base64,")
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}


def test_what_was_read_is_escaped() -> None:
    found = followed()
    flag = QualityFlag(code="ODD", severity=Severity.WARNING, message="<b>x</b>", value="7", subject="time point 1")
    page = render_page(replace(found, quality=(flag,)), PICTURE)
    assert "&lt;b&gt;x&lt;/b&gt; (7) [time point 1]" in page


def test_how_each_point_was_aligned_is_told() -> None:
    found = followed()
    moved = AlignmentSummary(method="registered", shift_mm=3.21, turn_deg=4.5, spread_mm=0.12)
    points = (replace(found.points[0], alignment=moved), replace(found.points[1], alignment=None))
    text = Reader(render_page(replace(found, points=points), PICTURE)).text
    assert "registered: moved by 3.2 mm, turned by 4.5°, a second search ended 0.1 mm away" in text
    plain = Reader(render_page(found, PICTURE)).text
    assert "by its headers, which were trusted" in plain
    assert "the others were brought here" in plain


def test_no_lesions_are_told_as_such() -> None:
    found = compare([point([]), point([], SECOND)], FollowUpOptions(alignment=Alignment.HEADERS))
    assert "No lesions at either time point." in Reader(render_page(found, PICTURE)).text


def test_points_without_intervals_show_volumes_alone() -> None:
    found = followed()
    bare = replace(found, points=tuple(replace(entry, volume_interval_ml={}) for entry in found.points))
    assert "(1." not in Reader(render_page(bare, PICTURE)).text.split("Lesions from")[0].split("how it was aligned")[1]
