import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tds_clinical.errors import FollowUpError
from tds_clinical.followup import Alignment, FollowUp, FollowUpOptions, compare
from tds_clinical.uids import Uids

from .points import SECOND, THIRD, Ball, point


@pytest.fixture(scope="module")
def found() -> FollowUp:
    left, right = Ball(at=(-18, 0, 0), radius=8), Ball(at=(18, 0, 0), radius=6)
    points = [point([left, right]), point([left], SECOND, relative_interval=0.1), point([left, right], THIRD)]
    return compare(points, FollowUpOptions(alignment=Alignment.HEADERS), uids=Uids("tests"))


@pytest.fixture
def document(found: FollowUp) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    return copy


def test_a_comparison_survives_json(found: FollowUp, document: dict[str, Any]) -> None:
    assert FollowUp.from_dict(document) == found


def test_the_notices_travel_with_it(document: dict[str, Any]) -> None:
    assert "Research use only" in document["notice"]
    assert "images alone" in document["notice"]


def test_fields_that_are_not_known_are_left_out(found: FollowUp, document: dict[str, Any]) -> None:
    document["later"] = document["points"][0]["later"] = 1
    assert FollowUp.from_dict(document) == found


def test_fields_that_came_later_may_be_missing(document: dict[str, Any]) -> None:
    del document["quality"]
    for entry in document["points"]:
        for name in ("volume_interval_ml", "interval_method", "measurements", "alignment"):
            del entry[name]
    for changes in document["changes"]:
        for entry in changes:
            del entry["volume_interval_ml"]
    for entry in document["assessments"]:
        for name in ("sum_interval", "possible", "targets"):
            del entry[name]
    read = FollowUp.from_dict(document)
    assert read.points[0].alignment is None
    assert read.assessments[0].possible == ()


def test_dates_may_be_unknown(document: dict[str, Any]) -> None:
    document["points"][0]["when"] = None
    assert FollowUp.from_dict(document).points[0].when is None


def test_numpy_numbers_become_plain(found: FollowUp) -> None:
    summary = found.points[0]
    intervals = {region: (np.float32(1), np.int64(2)) for region in summary.volume_interval_ml}
    changed = replace(found, points=(replace(summary, volume_interval_ml=intervals),))
    assert json.loads(json.dumps(changed.to_dict()))["points"][0]["volume_interval_ml"]["WT"] == [1.0, 2]


def without(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def damage(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return damage


def put(value: object, *path: str | int) -> Callable[[dict[str, Any]], None]:
    def damage(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        without("schema_version"),
        put("2.0", "schema_version"),
        put(1, "schema_version"),
        without("points"),
        put("none", "points"),
        put({}, "changes"),
        put([1], "changes", 0),
        put("third", "points", 0, "when"),
        put(5, "points", 0, "label"),
        put({}, "points", 0, "report"),
        put("shrunk", "changes", 0, 0, "kind"),
        put(1, "changes", 0, 0, "is_certain"),
        put([1.0, 2.0], "changes", 0, 0, "place_mm"),
        put([1.0, True, 2.0], "changes", 0, 0, "place_mm"),
        put([1.0, float("nan"), 2.0], "changes", 0, 0, "place_mm"),
        put([True], "changes", 0, 0, "before"),
        put(["1"], "changes", 0, 0, "after"),
        put("much", "assessments", 0, "sum_mm"),
        put({"one": "2.25.1"}, "lesion_uids", 0),
        put([], "lesion_uids", 0),
        put(None, "notice"),
    ],
)
def test_other_documents_are_refused(document: dict[str, Any], damage: Callable[[dict[str, Any]], None]) -> None:
    damage(document)
    with pytest.raises(FollowUpError, match="not a follow-up"):
        FollowUp.from_dict(document)
