"""How long a phantom takes, how much memory it holds, and whether workers help.

    python benchmarks/phantom_time.py [-n RUNS] [-o FILE.json] [--spacing MM] [--skull]

Each figure comes from processes of their own. CPU seconds are those of one phantom once the template is loaded; the
throughput is that of `write_phantoms` with one worker and with one for each core, from start to finished data set.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ONE = """
import json, resource, sys, time
from tds_data.phantoms import PhantomConfig, synthesize
spacing, skull, seed = float(sys.argv[1]), sys.argv[2] == "True", int(sys.argv[3])
begun = time.process_time()
synthesize(PhantomConfig(seed=seed, spacing_mm=4.0))
ready = time.process_time()
synthesize(PhantomConfig(seed=seed, spacing_mm=spacing, with_skull=skull))
end = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"first_s": ready - begun, "phantom_s": end - ready, "peak_rss_mib": peak}))
"""


def main() -> None:
    """Measure and tell."""
    arguments = _parse()
    runs = [_alone(arguments, seed) for seed in range(arguments.runs)]
    cores = len(os.sched_getaffinity(0))
    sets = {str(workers): _set_of(arguments, workers) for workers in sorted({1, cores})}
    document = {
        "spacing_mm": arguments.spacing,
        "with_skull": arguments.skull,
        "runs": runs,
        "median_phantom_cpu_s": round(median(run["phantom_s"] for run in runs), 3),
        "peak_rss_mib": round(max(run["peak_rss_mib"] for run in runs), 1),
        "phantoms_per_minute": sets,
        "cores": cores,
        "platform": platform.platform(),
        "versions": {name: version(name) for name in ("tds-data", "numpy", "scipy")},
        "other_load": arguments.other_load,
    }
    print(
        f"one phantom, four sequences: {document['median_phantom_cpu_s']} s of one core, {document['peak_rss_mib']} MiB"
    )
    for workers, rate in sets.items():
        print(f"{workers} worker(s): {rate} phantoms a minute, written to disk")
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time phantoms.")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how many phantoms for each figure (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--spacing", type=float, default=1.0, help="edge of the voxels in mm (default 1)")
    parser.add_argument("--skull", action="store_true", help="whole heads")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("-n takes 1 or more")
    arguments.other_load = round(os.getloadavg()[0], 2)
    return arguments


def _alone(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-c", ONE, str(arguments.spacing), str(arguments.skull), str(seed)]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=True)  # noqa: S603
    measured: dict[str, Any] = json.loads(ran.stdout)
    return measured


def _set_of(arguments: argparse.Namespace, workers: int) -> float:
    from tds_data.phantoms import PhantomSet, write_phantoms  # noqa: PLC0415  # child processes start lighter

    count = max(arguments.runs, 2 * workers)
    wanted = PhantomSet(count=count, spacing_mm=arguments.spacing, with_skull=arguments.skull)
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        begun = time.perf_counter()
        write_phantoms(Path(scratch) / "set", wanted, workers=workers)
        seconds = time.perf_counter() - begun
    return float(round(60 * count / seconds, 1))


if __name__ == "__main__":
    main()
