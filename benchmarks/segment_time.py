"""How long `tds segment` takes from the start of its process to the finished result, and how much memory it holds.

    python benchmarks/segment_time.py PATIENT [-n RUNS] [-o FILE.json] [--cores N]

PATIENT is a folder that `tds segment` takes; without one a phantom of 1 mm stands in for it, and the
artefact says so. Every run is a process of its own. Peak memory is the largest resident set of any process of the
run, as the kernel counted it.
"""

import argparse
import json
import os
import platform
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

KIB_PER_MIB = 1024


def main() -> None:
    """Measure and tell."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        study = arguments.patient if arguments.patient is not None else make_study(Path(scratch))
        runs = [_run(study, Path(scratch) / "out", arguments.cores) for _ in range(arguments.runs)]
    document = _document(arguments, runs)
    for number, run in enumerate(runs, start=1):
        print(f"run {number}: {run['wall_s']:.2f} s, of which infer {run['timings_s']['infer']:.2f} s")
    seconds, mib = document["median_wall_s"], document["peak_rss_mib"]
    print(f"median {seconds:.2f} s on {document['cores']} cores, peak {mib:.0f} MiB")
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time tds segment from process start to finished result.")
    parser.add_argument("patient", type=Path, nargs="?", help="study to segment; a phantom if left out")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how often (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--cores", type=int, help="use only so many cores (default all)")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("-n takes 1 or more")
    if arguments.patient is not None and not arguments.patient.exists():
        parser.error("there is no such patient folder")
    if arguments.cores is not None and not 1 <= arguments.cores <= len(os.sched_getaffinity(0)):
        parser.error(f"--cores takes 1 to {len(os.sched_getaffinity(0))}")
    arguments.other_load = round(os.getloadavg()[0], 2)
    return arguments


def make_study(folder: Path) -> Path:
    """Return the folder of a phantom's four files."""
    command = [sys.executable, "-m", "tds_cli", "demo", "-o", str(folder / "demo"), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # this interpreter
    return folder / "demo" / "phantom"


def _run(study: Path, out: Path, cores: int | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "tds_cli", "segment", str(study), "-o", str(out), "--json"]
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(everything)[:cores])  # the child inherits it
    start = time.perf_counter()
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # this interpreter
        wall_s = time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, everything)
    shutil.rmtree(out)
    result = json.loads(done.stdout)["result"]
    keep = ("modalities", "volume_ml", "model", "phantom", "timings_s")
    return {"wall_s": round(wall_s, 3), **{key: result[key] for key in keep}}


def _document(arguments: argparse.Namespace, runs: list[dict[str, Any]]) -> dict[str, Any]:
    first = runs[0]
    return {
        "benchmark": "segment_time",
        "case": "phantom" if first["phantom"] else arguments.patient.name,
        "phantom": first["phantom"],
        "median_wall_s": median(run["wall_s"] for run in runs),
        "slowest_wall_s": max(run["wall_s"] for run in runs),
        # The largest child so far: any run, and for a phantom also the process that made it.
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / KIB_PER_MIB, 1),
        "cores": arguments.cores or len(os.sched_getaffinity(0)),
        "other_load": arguments.other_load,
        "processor": processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("tds-cli", "tds-core", "tds-data", "openvino", "numpy")},
        "model": first["model"],
        "runs": [{key: run[key] for key in ("wall_s", "timings_s")} for run in runs],
    }


def processor() -> str:
    """Return what the kernel calls the processor."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
