"""The page about templates names every variable that a hospital's template is given."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tds_clinical.reports.content import (
    Assessed,
    Change,
    Content,
    Fact,
    Figure,
    Flag,
    LesionPart,
    Picture,
    Table,
)


def table_of(page: str, title: str) -> set[str]:
    section = page.split(f"## {title}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs/reference/report-template.md").read_text(encoding="utf-8")


def test_every_variable_is_listed_and_no_other(page: str) -> None:
    extra = {"language", "words", "report", "legend"}
    assert table_of(page, "Variables") == {field.name for field in fields(Content)} | extra


@pytest.mark.parametrize("kind", [Fact, Table, Flag, Figure, LesionPart, Change, Assessed])
def test_every_attribute_of_a_value_is_listed_and_no_other(page: str, kind: type) -> None:
    assert table_of(page, kind.__name__) == {field.name for field in fields(kind)}


def test_a_picture_has_an_address_and_words(page: str) -> None:
    names = {field.name for field in fields(Picture) if not field.name.startswith("_")}
    assert table_of(page, "Picture") == names | {"url", "jpeg"}
