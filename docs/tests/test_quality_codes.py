"""The page of codes says what the registry says."""

import re
from pathlib import Path

from tds_data.quality import CODES

_ROW = re.compile(
    r"^\| `(?P<code>[A-Z0-9-]+)` \| (?P<severity>\w+) \| (?P<seen>.+) \| (?P<advice>.+) \|$", re.MULTILINE
)


def test_the_page_lists_every_code_as_the_registry_has_it(root: Path) -> None:
    page = (root / "docs/reference/quality-codes.md").read_text(encoding="utf-8")
    rows = [match.groups() for match in _ROW.finditer(page)]
    by_area = sorted(CODES.values(), key=lambda code: page.index(f"| `{code.name}` |"))
    assert rows == [(code.name, str(code.severity), code.meaning, code.advice) for code in by_area]
    assert {code for code, *_ in rows} == set(CODES)


def test_each_code_stands_under_its_area(root: Path) -> None:
    page = (root / "docs/reference/quality-codes.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].lower(): part for part in page.split("\n## ")[1:]}
    for code in CODES.values():
        (title,) = [title for title, part in sections.items() if f"`{code.name}` |" in part]
        assert str(code.area) in title
