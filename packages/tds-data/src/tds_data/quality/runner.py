"""The check of a whole data set: its cases side by side, then what only shows between them."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from tds_data.datasets.manifest import Manifest
from tds_data.quality.codes import flag
from tds_data.quality.dataset_report import RANK, CaseReport, DatasetReport
from tds_data.quality.entries import CaseTask, check_entry
from tds_data.quality.gate import by_weight
from tds_data.quality.isolation import Outcome, run_isolated
from tds_data.quality.pictures import require_pillow
from tds_data.report import QualityFlag, Severity

Progress = Callable[[int, int, str], None]
"""Hears how many of how many are done, and what it is about."""

MAX_PICTURED: Final = 200
"""No more cases than this keep their pictures; those with the gravest findings do."""

_MAX_SHOWN: Final = 3


def check_dataset(
    manifest: Manifest,
    *,
    workers: int = 2,
    flags: Iterable[QualityFlag] = (),
    is_pictured: bool = False,
    progress: Progress | None = None,
) -> DatasetReport:
    """Return what the check of every case found.

    Cases are checked in worker processes; one that crashes or is killed becomes a finding of the case that it was at,
    and the others go on. At most `workers` cases are in memory at a time.

    Args:
        manifest: The data set.
        workers: How many processes.
        flags: What is known to speak against the data set as a whole.
        is_pictured: Whether to draw a slice of each image, for `write_page`.
        progress: Told after each case.

    Raises:
        ValueError: If there is no worker.
        WorkersNotStarted: If worker processes cannot be started.
        MissingDependency: If pictures are asked for and the extra `report` is not installed.
    """
    if workers < 1:
        message = f"a data set is checked by one worker or more; {workers} were asked for"
        raise ValueError(message)
    if is_pictured:
        require_pillow()
    tasks = [CaseTask.of(manifest, entry, is_pictured=is_pictured) for entry in manifest.cases]
    reports: dict[str, CaseReport] = {}
    pictured: list[tuple[int, int, str]] = []
    for outcome in run_isolated(check_entry, tasks, workers=workers):
        report = _report(outcome)
        reports[report.name] = report
        if report.pictures:
            heapq.heappush(pictured, (_rank(report), -len(reports), report.name))
        if len(pictured) > MAX_PICTURED:
            *_, least = heapq.heappop(pictured)
            reports[least] = replace(reports[least], pictures=())
        if progress is not None:
            progress(len(reports), len(tasks), report.name)
    cases = with_shared_images([reports[entry.name] for entry in manifest.cases])
    return DatasetReport(
        name=manifest.root.resolve().name,
        layout=manifest.layout,
        scheme=manifest.scheme,
        digest=manifest.digest,
        licence=manifest.licence,
        flags=by_weight(flags),
        cases=tuple(cases),
    )


def with_shared_images(cases: Iterable[CaseReport]) -> Iterator[CaseReport]:
    """Yield the reports, with a finding for each image that is part of another case as well.

    Args:
        cases: Reports on all cases of a data set.
    """
    known = list(cases)
    owners: dict[str, dict[str, str]] = defaultdict(dict)  # the patient of each case that has an image
    for case in known:
        for print_ in case.fingerprints.values():
            owners[print_][case.name] = case.patient
    leaking = {print_ for print_, patients in owners.items() if len(set(patients.values())) > 1}
    for case in known:
        shared = tuple(_shared(case, owners, leaking))
        yield replace(case, flags=by_weight((*case.flags, *shared))) if shared else case


def _shared(
    case: CaseReport, owners: Mapping[str, Mapping[str, str]], leaking: Collection[str]
) -> Iterator[QualityFlag]:
    for name, print_ in case.fingerprints.items():
        others = [other for other in islice(owners[print_], _MAX_SHOWN + 1) if other != case.name][:_MAX_SHOWN]
        if others:
            message = f"{name} is part of another case as well; keep one of them, or give both the same patient"
            severity = Severity.ERROR if print_ in leaking else Severity.WARNING
            yield flag("SAME-IMAGE", message, f"also in {', '.join(others)}", subject=name, severity=severity)


def _report(outcome: Outcome[CaseTask, CaseReport]) -> CaseReport:
    if outcome.result is not None:
        return outcome.result
    message = "the check of this case could not be finished; check it by itself, with fewer workers"
    reason = outcome.fault.replace(str(outcome.task.root), "...")
    return outcome.task.report(flags=(flag("CHECK-FAILED", message, reason),))


def _rank(report: CaseReport) -> int:
    return 0 if report.worst is None else RANK[report.worst]
