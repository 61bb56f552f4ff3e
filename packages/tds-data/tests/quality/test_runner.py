"""The check of a whole data set."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tds_data import Case, Severity
from tds_data.datasets import index_dataset
from tds_data.datasets.manifest import Manifest
from tds_data.errors import MissingDependency
from tds_data.quality import pictures, runner
from tds_data.quality.dataset_report import CaseReport
from tds_data.quality.isolation import DIED, Outcome
from tds_data.quality.runner import check_dataset, with_shared_images

Dataset = Callable[..., Path]
Noisier = Callable[[int], Case]


class Killer(str):
    """Text whose arrival ends the process that receives it."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (9,)


def codes(report: CaseReport) -> set[str]:
    return {flag.code for flag in report.flags}


def test_every_case_is_checked_and_reported_in_order(dataset: Dataset, noisier: Noisier) -> None:
    pytest.importorskip("PIL")
    manifest = index_dataset(dataset(b=noisier(1), a=noisier(2), c=noisier(3)))
    heard: list[tuple[int, int]] = []
    report = check_dataset(
        manifest, workers=2, is_pictured=True, progress=lambda done, total, _: heard.append((done, total))
    )
    assert [case.name for case in report.cases] == ["a", "b", "c"]
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert (report.name, report.layout, report.digest) == ("set", "folders", manifest.digest)
    assert all(len(case.pictures) == 4 for case in report.cases)
    assert not report.reaches(Severity.ERROR)


def test_killed_worker_is_a_finding_of_its_case_alone(dataset: Dataset, noisier: Noisier) -> None:
    manifest = index_dataset(dataset(a=noisier(1), b=noisier(2), c=noisier(3), d=noisier(4)))
    cases = [replace(case, notes=(Killer("x"),)) if case.name == "b" else case for case in manifest.cases]
    report = check_dataset(replace(manifest, cases=tuple(cases)), workers=2)
    assert [case.name for case in report.cases if "CHECK-FAILED" in codes(case)] == ["b"]
    (flag,) = report.cases[1].flags
    assert (flag.severity, flag.value) == (Severity.ERROR, DIED)
    assert all(case.shape for case in report.cases if case.name != "b")


def test_crash_in_a_case_is_a_finding_without_its_folder(dataset: Dataset, noisier: Noisier) -> None:
    manifest = index_dataset(dataset(a=noisier(1)))
    broken = Manifest(layout="x", cases=manifest.cases, scheme="none such", root=manifest.root)
    report = check_dataset(broken, workers=1)
    (flag,) = report.cases[0].flags
    assert flag.code == "CHECK-FAILED"
    assert str(flag.value).startswith("UnknownScheme: there is no label scheme 'none such'")


def test_folder_is_left_out_of_what_a_crash_says(tmp_path: Path) -> None:
    task = runner.CaseTask(root=tmp_path, scheme="none", labels={}, name="a", patient="a", images={})
    report = runner._report(Outcome(task=task, fault=f"OSError: {tmp_path}/a/t1.nii"))
    assert report.flags[0].value == "OSError: .../a/t1.nii"


def test_image_in_two_cases_is_an_error_unless_they_are_one_patients(dataset: Dataset, noisier: Noisier) -> None:
    first, second = noisier(1), noisier(2)
    t1 = next(iter(first.images))
    shared = Case(name="x", images={**second.images, t1: first.images[t1]})
    manifest = index_dataset(dataset(a=first, b=shared, c=noisier(3)))
    report = check_dataset(manifest, workers=1)
    flags = {case.name: [flag for flag in case.flags if flag.code == "SAME-IMAGE"] for case in report.cases}
    assert [(flag.severity, flag.subject, flag.value) for flag in flags["a"]] == [(Severity.ERROR, "t1", "also in b")]
    assert [flag.value for flag in flags["b"]] == ["also in a"]
    assert flags["c"] == []
    assert report.reaches(Severity.ERROR)


def test_two_visits_that_share_an_image_are_warned_of() -> None:
    cases = [
        CaseReport(name=name, patient="p", sequences=("t1",), fingerprints={"t1": "same"}) for name in ("v1", "v2")
    ]
    assert [flag.severity for case in with_shared_images(cases) for flag in case.flags] == [Severity.WARNING] * 2


def test_pictures_of_the_least_grave_cases_are_dropped(
    dataset: Dataset, noisier: Noisier, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("PIL")
    monkeypatch.setattr(runner, "MAX_PICTURED", 1)
    broken = noisier(2)
    t1, t1ce, *_ = broken.images
    twice = Case(name="x", images={**broken.images, t1ce: broken.images[t1]})
    report = check_dataset(index_dataset(dataset(a=noisier(1), b=twice, c=noisier(3))), workers=1, is_pictured=True)
    assert [case.name for case in report.cases if case.pictures] == ["b"]


def test_data_set_without_cases_and_with_findings_of_its_own(tmp_path: Path) -> None:
    empty = Manifest(layout="x", cases=(), scheme="none", root=tmp_path)
    report = check_dataset(empty, flags=[runner.flag("INDEX-PROBLEM", "a link leads nowhere")])
    assert report.cases == ()
    assert report.by_code == {"INDEX-PROBLEM": 1}
    assert report.reaches(Severity.ERROR)


def test_no_workers_and_no_pillow_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Manifest(layout="x", cases=(), scheme="none", root=tmp_path)
    with pytest.raises(ValueError, match="one worker or more; 0"):
        check_dataset(empty, workers=0)
    monkeypatch.setattr(pictures, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match="tds-data\\[report\\]"):
        check_dataset(empty, is_pictured=True)


def test_image_in_very_many_cases_names_three_others_in_little_time() -> None:
    cases = [
        CaseReport(name=f"c{n}", patient=f"p{n}", sequences=("t1",), fingerprints={"t1": "same"}) for n in range(10_000)
    ]
    start = time.process_time()
    reports = list(with_shared_images(cases))
    assert time.process_time() - start < 2
    assert reports[1].flags[0].value == "also in c0, c2, c3"
    assert reports[9_999].flags[0].value == "also in c0, c1, c2"
