"""Links between pages lead somewhere; Sphinx looks after those inside the site."""

import re
from pathlib import Path

import pytest
from claims_pages import find_pages

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|mailto:|#|<)([^)#\s]+)")


def broken(text: str, folder: Path) -> list[str]:
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    return [target for target in LINK.findall(prose) if not (folder / target).exists()]


def test_relative_links_lead_to_files(root: Path) -> None:
    pages = find_pages(root)
    assert [(p.name, target) for p in pages for target in broken(p.text, (root / p.name).parent)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b.md)", ["b.md"]),
        ("[a](b.md#c)", ["b.md"]),
        ("[a](conftest.py) [x](#here) [y](https://example.org/z)", []),
        ("`[a](b.md)`", []),
    ],
)
def test_a_broken_link_is_found(text: str, expected: list[str]) -> None:
    assert broken(text, Path(__file__).parent) == expected
