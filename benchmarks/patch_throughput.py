"""Patches per second, memory and time to the first patch: ours beside MONAI, TorchIO and nnU-Net.

    python benchmarks/patch_throughput.py [DATA] [-n RUNS] [-o FILE.json] [--only NAME]

DATA is a folder of patients in a layout that `tds data index` knows, with 1 mm voxels; without it phantoms stand in,
and the artefact says so. Each contender prepares its own cache once, outside the measurement, and then runs in a
process of its own with two workers; runs of the contenders alternate. What each does is written in
`_patch_contenders.py`.

- Time to the first patch runs from the start of the process, imports included, with a warm cache on disk and
  compiled modules.
- Patches per second are counted after a warm-up, with a main process that does nothing else.
- Processor time per patch is what all processes together used meanwhile.
- Memory is the largest sum of the proportional set sizes of all processes, shared memory included, since the start.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from _patch_contenders import LOAD, MODALITIES, NOTES, PREPARE, Settings
from segment_time import processor

SCRIPT = Path(__file__).with_name("_patch_contenders.py")
PACKAGES = ("tds-data", "monai", "torchio", "nnunetv2", "batchgeneratorsv2", "torch", "numpy")
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.5


def tree(root: int) -> list[int]:
    """Return a process and everything that it started."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def pss_bytes(root: int) -> int:
    """Return the sum of the proportional set sizes of a process tree."""
    total = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


def cpu_s(root: int) -> float:
    """Return the processor time that a process tree has used."""
    total = 0.0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15]) / TICKS  # its own, and that of children that have ended
    return total


class MemoryWatch(threading.Thread):
    """Notes the largest memory of a process tree."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._ended = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        """Look again and again."""
        while not self._ended.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, pss_bytes(self._root))

    def finish(self) -> int:
        """Stop, and return the largest memory in bytes."""
        self._ended.set()
        self.join()
        return self.peak_bytes


def one_run(name: str, settings_file: Path) -> dict[str, float]:
    """Run one contender once."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), name, "load", str(settings_file)]
    began = time.time()
    child = subprocess.Popen(  # noqa: S603  # our own script
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(settings_file.parent),
    )
    errors: list[str] = []
    listener = threading.Thread(target=lambda: errors.append(child.stderr.read() if child.stderr else ""), daemon=True)
    listener.start()
    watch = MemoryWatch(child.pid)
    watch.start()
    events: dict[str, dict[str, Any]] = {}
    used: dict[str, float] = {}
    for line in child.stdout or ():
        if not line.startswith('{"event"'):
            continue
        event = json.loads(line)
        events[event["event"]] = event
        used[event["event"]] = cpu_s(child.pid)
        if event["event"] == "stop":
            break
    peak = watch.finish()
    if child.stdin is not None and "stop" in events:
        child.stdin.write("\n")
        child.stdin.flush()
    child.wait(timeout=60)
    if "stop" not in events:
        listener.join(5)
        sys.exit(f"{name} failed:\n{''.join(errors)[-4000:]}")
    stop = events["stop"]
    return {
        "first_s": events["first"]["at"] - began,
        "patches_per_s": stop["patches"] / stop["wall_s"],
        "cpu_ms_per_patch": (used["stop"] - used["start"]) / stop["patches"] * 1e3,
        "peak_mib": peak / 2**20,
    }


def _environment(scratch: Path) -> dict[str, str]:
    # Compiled modules are kept: an installation without them would charge the largest library for its compilation.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    kept = {"PYTHONPYCACHEPREFIX": str(scratch / "bytecode"), "PYTHONWARNINGS": "ignore"}
    # A thread for each worker, as all of them advise; the newest wheels would otherwise fight for the cores.
    return {**inherited, **kept, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _child(name: str, what: str, settings_file: Path) -> None:
    """Let a contender prepare, or give one batch so that everything it imports is compiled."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), name, what, str(settings_file)]
    environment = _environment(settings_file.parent)
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)  # noqa: S603
    if done.returncode:
        sys.exit(f"{name} could not {what}:\n{done.stderr[-4000:]}")


def prepare(data: Path, settings: Settings, names: list[str]) -> Path:
    """Index the patients, code the labels 0 to 3, and let every contender make its cache."""
    from tds_data import write_volume  # noqa: PLC0415  # not needed to read --help
    from tds_data.datasets import load_entry, write_manifest  # noqa: PLC0415  # as above
    from tds_data.datasets.index import index_dataset  # noqa: PLC0415  # as above

    manifest = index_dataset(data)
    made_for = json.dumps([manifest.digest, settings.patch, settings.batch])
    kept = settings.folder / "prepared-for.json"
    if kept.exists() and kept.read_text() != made_for:
        sys.exit(f"{settings.folder} was prepared for other patients or patches; choose another --scratch")
    kept.write_text(made_for)
    write_manifest(manifest, settings.folder / "manifest.json")
    cases = []
    for entry in manifest.cases:
        reference = load_entry(manifest, entry).reference
        if reference is None or set(entry.images) != set(MODALITIES):
            sys.exit(f"{entry.name} lacks a mask or a sequence; the contenders need both")
        label = settings.folder / "labels" / f"{entry.name}.nii.gz"
        label.parent.mkdir(exist_ok=True)
        write_volume(label, reference)
        files = {modality: str(manifest.path(file)) for modality, file in entry.images.items()}
        cases.append({"name": entry.name, "label": str(label), **files})
    (settings.folder / "cases.json").write_text(json.dumps(cases))
    settings_file = settings.folder / "settings.json"
    settings_file.write_text(json.dumps(asdict(settings)))
    for name in names:
        done_before = settings.folder / f"{name}.prepared"
        if name in PREPARE and not done_before.exists():
            start = time.monotonic()
            _child(name, "prepare", settings_file)
            done_before.touch()
            print(f"prepared {name} in {time.monotonic() - start:.0f} s", file=sys.stderr)
        _child(name, "warm", settings_file)
    return settings_file


def phantoms(folder: Path, count: int = 3) -> Path:
    """Write a few phantoms in the names of BraTS."""
    from tds_data import PhantomConfig, make_phantom, write_volume  # noqa: PLC0415  # as above

    for seed in range(count):
        case = make_phantom(PhantomConfig(seed=seed, spacing_mm=1.0))
        name = f"Phantom_{seed:05d}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        for modality, volume in case.images.items():
            write_volume(folder / name / f"{name}_{modality}.nii.gz", volume)
        if case.reference is not None:
            write_volume(folder / name / f"{name}_seg.nii.gz", case.reference)
    return folder


@contextmanager
def scratch_folder(chosen: Path | None) -> Iterator[Path]:
    """Give the folder that was chosen, or a temporary one."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as folder:
        yield Path(folder)


def summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Return medians."""
    return {
        name: {**{key: round(median(run[key] for run in entries), 2) for key in entries[0]}, "note": NOTES[name]}
        for name, entries in runs.items()
    }


def compare(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return ours beside the best of the others."""
    others = {name: result for name, result in results.items() if name != "tds"}
    if "tds" not in results or not others:
        return {}
    fastest = max(others, key=lambda name: others[name]["patches_per_s"])
    leanest = min(others, key=lambda name: others[name]["peak_mib"])
    return {
        "fastest_other": fastest,
        "speed_ratio": round(results["tds"]["patches_per_s"] / others[fastest]["patches_per_s"], 2),
        "memory_ratio_to_fastest": round(results["tds"]["peak_mib"] / others[fastest]["peak_mib"], 2),
        "leanest_other": leanest,
        "memory_ratio_to_leanest": round(results["tds"]["peak_mib"] / others[leanest]["peak_mib"], 2),
    }


def say(results: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    print(f"{'':18}{'patches/s':>10}{'CPU ms':>9}{'peak MiB':>10}{'first s':>9}")
    for name, r in results.items():
        row = f"{r['patches_per_s']:>10.2f}{r['cpu_ms_per_patch']:>9.0f}{r['peak_mib']:>10.0f}{r['first_s']:>9.1f}"
        print(f"{name:18}{row}")
    for name, r in results.items():
        print(f"{name}: {r['note']}")


def main() -> None:
    """Prepare, measure and tell."""
    parser = argparse.ArgumentParser(description="Compare ways to load training patches.")
    parser.add_argument("data", type=Path, nargs="?", help="folder of patients; phantoms if left out")
    parser.add_argument("-n", "--runs", type=int, default=2, help="how often (default 2)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--patch", type=int, default=128, help="voxels along each axis (default 128)")
    parser.add_argument("--batch", type=int, default=2, help="patches in a batch (default 2)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default 2)")
    parser.add_argument("--warm", type=float, default=10.0, metavar="S", help="seconds before counting (default 10)")
    parser.add_argument("--timed", type=float, default=20.0, metavar="S", help="seconds of counting (default 20)")
    parser.add_argument("--only", action="append", choices=list(LOAD), help="this contender; repeatable")
    parser.add_argument("--scratch", type=Path, help="folder that keeps what was prepared; a temporary one if left out")
    arguments = parser.parse_args()
    names = arguments.only or list(LOAD)
    with scratch_folder(arguments.scratch) as scratch:
        data = (arguments.data or phantoms(scratch / "phantoms")).resolve()
        settings = Settings(
            data=str(data),
            scratch=str(scratch),
            patch=arguments.patch,
            batch=arguments.batch,
            workers=arguments.workers,
            warm_s=arguments.warm,
            timed_s=arguments.timed,
        )
        settings_file = prepare(data, settings, names)
        cases = len(settings.cases())
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(arguments.runs):
            for name in names:
                runs[name].append(one_run(name, settings_file))
                print(name, {k: round(v, 2) for k, v in runs[name][-1].items()}, file=sys.stderr)
    results = summary(runs)
    document = {
        "benchmark": "patch_throughput",
        "phantom": arguments.data is None,
        "cases": cases,
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "runs": arguments.runs,
        **{key: getattr(arguments, key) for key in ("patch", "batch", "workers", "warm", "timed")},
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {package: version(package) for package in PACKAGES},
        "results": results,
        "comparison": compare(results),
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    say(results)
    print(json.dumps(document["comparison"]))


if __name__ == "__main__":
    main()
