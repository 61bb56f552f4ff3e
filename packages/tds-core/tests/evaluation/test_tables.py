import csv
import io

from tds_core.evaluation.catalogue import METRICS, describe_metric
from tds_core.evaluation.summary import ScoredCase, summarise
from tds_core.evaluation.tables import cases_csv, summary_csv


def scored(case: str, dice: float, hd95: float | None) -> ScoredCase:
    return ScoredCase(
        case=case,
        phantom=case.startswith("p"),
        values={"WT": {"dice": dice, "hd95_mm": hd95}, "ET": {"dice": 0.1, "hd95_mm": 3.0}},
    )


def test_each_case_and_region_has_a_row() -> None:
    rows = list(csv.DictReader(io.StringIO(cases_csv([scored("a", 0.123456789, None), scored("p1", 1.0, 2.5)]))))
    assert [(row["case"], row["kind"], row["region"]) for row in rows] == [
        ("a", "patient", "WT"),
        ("a", "patient", "ET"),
        ("p1", "phantom", "WT"),
        ("p1", "phantom", "ET"),
    ]
    assert (rows[0]["dice"], rows[0]["hd95_mm"]) == ("0.123457", "")
    assert (rows[2]["dice"], rows[2]["hd95_mm"]) == ("1", "2.5")


def test_summary_has_its_interval_in_columns() -> None:
    found = summarise([scored("a", 0.2, None), scored("b", 0.4, 1.0)])
    rows = list(csv.DictReader(io.StringIO(summary_csv(found))))
    assert [(row["region"], row["metric"], row["cases"], row["undefined"]) for row in rows] == [
        ("WT", "dice", "2", "0"),
        ("WT", "hd95_mm", "1", "1"),
        ("ET", "dice", "2", "0"),
        ("ET", "hd95_mm", "2", "0"),
    ]
    assert 0.2 <= float(rows[0]["interval_low"]) < float(rows[0]["interval_high"]) <= 0.4
    assert rows[0]["interval_level"] == "0.95"
    assert rows[1]["interval_low"] == ""


def test_name_that_a_spreadsheet_would_run_is_made_harmless() -> None:
    assert cases_csv([scored("=1+1", 0.5, 1.0)]).splitlines()[1].startswith("'=1+1,")


def test_metric_without_an_entry_is_shown_by_its_key() -> None:
    assert describe_metric("average_gap").label == "average gap"
    assert METRICS["hd95_mm"].label.endswith("(mm)")
