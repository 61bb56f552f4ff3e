"""The JSON Schema says what the check of a data set writes, and the page names every field."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tds_data.quality import CHECK_SCHEMA_VERSION, CaseReport, DatasetReport, flag


@pytest.fixture(scope="session")
def schema(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "docs/reference/check.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return document


@pytest.fixture
def document() -> dict[str, Any]:
    full = CaseReport(
        name="a",
        patient="p",
        sequences=("t1", "flair"),
        shape=(240, 240, 155),
        spacing_mm=(1.0, 1.0, 1.0),
        orientation="LPS",
        marked_ml=12.5,
        notes=("missing: t2",),
        flags=(flag("CLIPPED", "t1 is clipped", "3%", subject="t1"),),
    )
    bare = CaseReport(name="b", patient="p", sequences=("t1",), flags=(flag("UNREADABLE", "m"),))
    report = DatasetReport(
        name="set",
        layout="brats",
        scheme="brats-2021",
        digest="ab" * 32,
        flags=(flag("INDEX-PROBLEM", "m"),),
        cases=(full, bare),
    )
    plain: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    return plain


def test_a_report_is_valid(schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema.validate(document, schema)


def test_the_schema_requires_every_field_that_is_written(schema: dict[str, Any], document: dict[str, Any]) -> None:
    case = document["cases"][0]
    definitions = schema["$defs"]
    pairs = [
        (schema, document),
        (schema["properties"]["dataset"], document["dataset"]),
        (schema["properties"]["counts"], document["counts"]),
        (schema["properties"]["codes"]["additionalProperties"], document["codes"]["CLIPPED"]),
        (definitions["case"], case),
        (definitions["finding"], case["findings"][0]),
    ]
    for part, written in pairs:
        assert set(part["required"]) == set(part["properties"]) == set(written)


def test_the_page_names_every_field_and_the_version(root: Path, document: dict[str, Any]) -> None:
    page = (root / "docs/reference/check-schema.md").read_text(encoding="utf-8")
    case = document["cases"][0]
    names = {*document, *document["dataset"], *document["counts"], *case, *case["findings"][0]}
    names |= {*document["codes"]["CLIPPED"], *document["counts"]["by_severity"]}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert f"schema version\n{CHECK_SCHEMA_VERSION};" in page


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("schema_version",), "2.0"),
        (("dataset", "digest"), "abc"),
        (("counts", "cases"), -1),
        (("cases", 0, "shape"), [1, 2]),
        (("cases", 0, "orientation"), "XYZ"),
        (("cases", 0, "findings", 0, "severity"), "fatal"),
        (("cases", 0, "findings", 0, "code"), "lower"),
    ],
)
def test_the_schema_refuses_what_is_no_report(
    schema: dict[str, Any], document: dict[str, Any], path: tuple[Any, ...], wrong: object
) -> None:
    changed = deepcopy(document)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, schema)
