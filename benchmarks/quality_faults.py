"""Which planted faults the content checks find, and what they say about untouched studies.

    python benchmarks/quality_faults.py [DATA] [-n PATIENTS] [--only FAULT] [-o FILE.json]

DATA is a folder of patients, such as the BraTS ones; without it phantoms of 1 mm stand in for them, and the artefact
says so. Each fault of `packages/tds-data/tests/quality/faults.py` is planted into a copy of each patient at every
strength. A fault counts as found if its code is among the findings. Untouched patients count by code and level.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segment_time import processor

from tds_data import Case, PhantomConfig, QualityFlag, load_case, make_phantom
from tds_data.discover import discover
from tds_data.quality.content import check_content

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "packages/tds-data/tests/quality"))
from faults import FAULTS

Row = dict[str, Any]


def studies(data: Path | None, count: int) -> Iterator[tuple[str, Case]]:
    """Return the patients of a folder, or as many phantoms, one after the other."""
    if data is None:
        for seed in range(1, count + 1):
            yield f"phantom {seed}", make_phantom(PhantomConfig(seed=seed))
        return
    for folder in sorted(f for f in data.iterdir() if f.is_dir())[:count]:
        yield folder.name, load_case(discover(folder))


def shown(flag: QualityFlag) -> str:
    """Return a finding in a few words."""
    return f"{flag.code} {flag.severity.value}"


def examine(case: Case, only: str | None, rows: dict[tuple[str, str], Row]) -> tuple[list[str], float]:
    """Plant every fault into copies of a case, count what is found, and return the untouched one's findings."""
    start = time.process_time()
    untouched = check_content(case)
    seconds = time.process_time() - start
    for fault, entry in FAULTS.items():
        if only is not None and fault != only:
            continue
        for strength, plant in entry.plant.items():
            row = rows.setdefault((fault, strength), {"code": entry.code, "found": 0, "of": 0, "others": Counter()})
            flags = check_content(plant(case))
            named = [f for f in flags if f.code == entry.code and (f.severity == "error" or not entry.error)]
            row["found"] += bool(named)
            row["of"] += 1
            row["others"].update({f.code for f in flags} - {entry.code} - {f.code for f in untouched})
    return [shown(flag) for flag in untouched], seconds


def measure(data: Path | None, count: int, only: str | None) -> Row:
    """Return the table of faults, and what was said about the untouched."""
    rows: dict[tuple[str, str], Row] = {}
    untouched: dict[str, list[str]] = {}
    times = []
    for name, case in studies(data, count):
        untouched[name], seconds = examine(case, only, rows)
        times.append(seconds)
        print(name, *untouched[name] or ["nothing said"], file=sys.stderr)
    table = [{"fault": f, "strength": s, **row, "others": dict(row["others"])} for (f, s), row in rows.items()]
    said = [flag for flags in untouched.values() for flag in flags]
    return {
        "studies": len(untouched),
        "untouched_warnings": sum(flag.endswith("warning") for flag in said),
        "untouched_errors": sum(flag.endswith("error") for flag in said),
        "untouched": dict(Counter(said)),
        "seconds_per_study": round(sorted(times)[len(times) // 2], 2),
        "found": sum(row["found"] for row in table),
        "planted": sum(row["of"] for row in table),
        "faults": table,
    }


def print_table(result: Row) -> None:
    """Print the table for people."""
    print(f"{'fault':22} {'strength':16} {'code':22} {'found':>8}  also said")
    for row in result["faults"]:
        others = ", ".join(f"{code} {n}" for code, n in sorted(row["others"].items()))
        print(f"{row['fault']:22} {row['strength']:16} {row['code']:22} {row['found']:>3} / {row['of']:<3} {others}")
    print(f"untouched: {result['studies']} studies, {result['untouched'] or 'nothing said'}")


def main() -> None:
    """Plant, count, print and write."""
    parser = argparse.ArgumentParser(description="Count which planted faults the content checks find.")
    parser.add_argument("data", type=Path, nargs="?", help="folder of patients; phantoms if left out")
    parser.add_argument("-n", "--patients", type=int, help="how many studies (default: all, or 4 phantoms)")
    parser.add_argument("--only", choices=sorted(FAULTS), help="plant this fault alone")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    count = arguments.patients or (4 if arguments.data is None else 10_000)
    result = {
        "benchmark": "quality_faults",
        "phantom": arguments.data is None,
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        **measure(arguments.data, count, arguments.only),
    }
    print_table(result)
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
