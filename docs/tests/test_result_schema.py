"""The JSON Schema says what reports are, and the page names every field."""

import json
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tds_data import (
    SCHEMA_VERSION,
    Lesion,
    LesionReport,
    Modality,
    ModelIdentity,
    QualityFlag,
    Region,
    Severity,
)

VOLUMES = {Region.WT: 3.5, Region.TC: 2.0, Region.ET: 0.5}
INTERVALS = {Region.WT: (3.0, 4.0), Region.TC: (1.5, 2.5), Region.ET: (0.0, 0.75)}


@pytest.fixture(scope="session")
def schema(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "docs/reference/result.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return document


@pytest.fixture
def report() -> LesionReport:
    lesion = Lesion(
        number=1,
        centroid_mm=(-10.0, 4.5, 30.0),
        bounding_box_mm=((-20.0, 0.0, 20.0), (0.0, 9.0, 40.0)),
        longest_diameter_mm=22.4,
        volume_ml=VOLUMES,
        volume_interval_ml=INTERVALS,
    )
    model = ModelIdentity(name="m", version="1.0.0", sha256="0" * 64, architecture="SegResNet", licence="MIT")
    flag = QualityFlag(code="MISSING-SEQUENCE", severity=Severity.WARNING, message="t1 is missing", value="t1")
    return LesionReport(
        case="a",
        modalities=(Modality.T1CE, Modality.FLAIR),
        lesions=(lesion,),
        volume_ml=VOLUMES,
        quality=(flag,),
        model=model,
        timings_s={"infer": 2.0},
        volume_interval_ml=INTERVALS,
        interval_method="by hand",
        dice={Region.WT: 0.9, Region.TC: 0.8, Region.ET: 0.0},
    )


def through_json(report: LesionReport) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    return document


def test_a_report_is_valid(schema: dict[str, Any], report: LesionReport) -> None:
    jsonschema.validate(through_json(report), schema)


def test_an_empty_report_without_reference_is_valid(schema: dict[str, Any], report: LesionReport) -> None:
    empty = LesionReport(
        case="a",
        modalities=(Modality.T1,),
        lesions=(),
        volume_ml=dict.fromkeys(Region, 0.0),
        quality=(),
        model=report.model,
    )
    jsonschema.validate(through_json(empty), schema)


def test_the_schema_requires_exactly_the_fields_of_the_values(schema: dict[str, Any]) -> None:
    kinds = {"lesion": Lesion, "flag": QualityFlag, "model": ModelIdentity}
    assert set(schema["required"]) == set(schema["properties"]) == {f.name for f in fields(LesionReport)}
    for name, kind in kinds.items():
        assert set(schema["$defs"][name]["required"]) == {f.name for f in fields(kind)}


def test_the_page_names_every_field_and_the_version(root: Path) -> None:
    page = (root / "docs/reference/result-schema.md").read_text(encoding="utf-8")
    named = {f.name for kind in (LesionReport, Lesion, QualityFlag, ModelIdentity) for f in fields(kind)}
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []
    assert f"schema version\n{SCHEMA_VERSION}" in page


def test_the_example_on_the_page_is_valid_and_can_be_read(root: Path, schema: dict[str, Any]) -> None:
    page = (root / "docs/reference/result-schema.md").read_text(encoding="utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    jsonschema.validate(example, schema)
    assert LesionReport.from_dict(example).to_dict() == example


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("schema_version",), "2.0"),
        (("modalities",), []),
        (("modalities",), ["pd"]),
        (("dice",), {"WT": 1.2, "TC": 0.8, "ET": 0.0}),
        (("volume_ml",), {"WT": 1.0}),
        (("lesions", 0, "centroid_mm"), [1.0, 2.0]),
        (("lesions", 0, "number"), 0),
        (("quality", 0, "severity"), "fatal"),
        (("model", "sha256"), "abc"),
    ],
)
def test_the_schema_refuses_what_is_no_report(
    schema: dict[str, Any], report: LesionReport, path: tuple[Any, ...], wrong: object
) -> None:
    document = deepcopy(through_json(report))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)
