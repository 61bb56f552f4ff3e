"""How long `tds data check` takes for each patient, what it says of untouched ones, and which planted faults it names.

    python benchmarks/check_dataset.py [DATA] [-n RUNS] [--cores N] [-o FILE.json]

DATA is the folder of a data set, such as BraTS patients; without it two phantoms of 1 mm stand in for it, and the
artefact says so. Each run is a process of its own on N cores (2 by default), from its start to the finished page and
JSON file. Wall and processor time are told for each patient, peak memory is the largest resident set of any process of
the run. Then each structural fault of `packages/tds-data/tests/quality/test_planted_faults.py` is planted into a copy
of the first patient with a mask and all sequences, in memory; it counts as named if the gate finds it by its code, at
the sequence that it was planted into, and did not before. Faults of content are measured by `quality_faults.py`.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from segment_time import KIB_PER_MIB, make_study, processor

from tds_data import Case, check_case, load_case
from tds_data.discover import discover

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "packages/tds-data/tests/quality"))
from test_planted_faults import FAULTS

STAND_INS = 2


def make_dataset(folder: Path) -> Path:
    """Return the folder of a data set of phantoms."""
    study = make_study(folder)
    for number in range(STAND_INS):
        shutil.copytree(study, folder / "set" / f"phantom-{number}")
    return folder / "set"


def run(data: Path, out: Path, cores: int) -> dict[str, Any]:
    """Check a data set once."""
    command = [sys.executable, "-m", "tds_cli", "data", "check", str(data), "-o", str(out), "--json"]
    command += ["--workers", str(cores), "--fail-on", "never"]
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(everything)[:cores])  # the child inherits it
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # this interpreter
        wall_s = time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, everything)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(done.stdout)
    cases = report["counts"]["cases"]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(wall_s, 3),
        "wall_s_per_case": round(wall_s / cases, 3),
        "cpu_s_per_case": round(cpu_s / cases, 3),
        "page_bytes": (out / "check.html").stat().st_size,
        "counts": report["counts"],
        "phantom": all(case["phantom"] for case in report["cases"]),
    }


def whole_case(data: Path) -> Case:
    """Return the first patient that has all sequences and a mask."""
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir())
    cases = (load_case(discover(folder)) for folder in folders)
    return next(case for case in cases if case.reference is not None and len(case.images) == 4)  # noqa: PLR2004


def planted(case: Case) -> dict[str, dict[str, Any]]:
    """Return for each fault its code, and whether it is named."""
    before = {(flag.code, flag.subject) for flag in check_case(case)}
    rows = {}
    for fault, (plant, code, subject) in FAULTS.items():
        found = {(flag.code, flag.subject): flag for flag in check_case(plant(case))}
        flag = found.get((code, subject))
        severity = None if flag is None else str(flag.severity)
        named = flag is not None and (code, subject) not in before
        rows[fault] = {"code": code, "named": named, "severity": severity, "value": flag and flag.value}
    return rows


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Time tds data check, and plant structural faults.")
    parser.add_argument("data", type=Path, nargs="?", help="data set; two phantoms if left out")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how often (default 3)")
    parser.add_argument("--cores", type=int, default=2, help="use only so many cores (default 2)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.runs < 1 or arguments.cores < 1:
        parser.error("-n and --cores take 1 or more")
    if arguments.data is not None and not arguments.data.is_dir():
        parser.error("there is no such folder")
    return arguments


def main() -> None:
    """Measure and tell."""
    arguments = parse()
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        data = arguments.data or make_dataset(Path(scratch))
        runs = [run(data, Path(scratch) / f"out-{n}", arguments.cores) for n in range(arguments.runs)]
        faults = planted(whole_case(data))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / KIB_PER_MIB
    document = {
        "benchmark": "check_dataset",
        "data": "phantoms" if runs[0]["phantom"] else "patients",
        "cases": runs[0]["counts"]["cases"],
        "cores": arguments.cores,
        "other_load": load,
        "processor": processor(),
        "versions": {name: version(name) for name in ("tds-data", "tds-cli", "numpy", "scipy", "nibabel")},
        "median_wall_s_per_case": median(r["wall_s_per_case"] for r in runs),
        "median_cpu_s_per_case": median(r["cpu_s_per_case"] for r in runs),
        "peak_rss_mib": round(peak),
        "untouched": runs[0]["counts"],
        "faults": len(faults),
        "faults_named": sum(row["named"] for row in faults.values()),
        "planted": faults,
        "runs": runs,
    }
    for fault, row in faults.items():
        print(f"{'named ' if row['named'] else 'MISSED'}  {row['code']:22}  {fault}: {row['value']}")
    print(f"untouched: {document['untouched']}")
    print(f"{document['faults_named']} of {document['faults']} structural faults named")
    print(
        f"{document['median_wall_s_per_case']:.2f} s wall and {document['median_cpu_s_per_case']:.2f} s processor time"
    )
    print(
        f"for each of {document['cases']} {document['data']} on {arguments.cores} cores, peak {peak:.0f} MiB a process"
    )
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
