"""Steps per second, memory and Dice after equal steps: our trainer beside nnU-Net's.

    python benchmarks/against_nnunet.py [DATA] [--validation NAME ...] [--steps N] [-n RUNS] [-o FILE.json]

DATA is a folder of patients in a layout that `tds data index` knows; without it phantoms stand in, and the artefact
says so. Every contender trains the same network from the same first weights on the same patients, with the same patch,
batch and number of steps, in a process of its own; runs alternate. What each does is written in
`_training_contenders.py`.

- Steps per second are counted from the sixth step to the last, loading and augmentation included.
- Memory is the largest sum of the proportional set sizes of all processes, shared memory included, from the start of
  the process to its last step.
- Dice is that of the validation patients on their own 1 mm grid, without mirroring, with the last weights.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median
from typing import Any

from _training_contenders import MODALITIES, PREPARE, TRAIN, Settings
from patch_throughput import MemoryWatch, cpu_s, phantoms, scratch_folder
from segment_time import processor

SCRIPT = Path(__file__).with_name("_training_contenders.py")
PACKAGES = ("tds-core", "tds-data", "nnunetv2", "torch", "numpy")
VALIDATION = ("BraTS2021_00003", "BraTS2021_01481")


def lay_out(data: Path, settings: Settings) -> None:
    """Index the patients and code the labels 0 to 3."""
    from tds_data import write_volume  # noqa: PLC0415  # not needed to read --help
    from tds_data.datasets import index_dataset, load_entry, write_manifest  # noqa: PLC0415  # as above

    manifest = index_dataset(data)
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
    absent = set(settings.validation) - {case["name"] for case in cases}
    if absent:
        sys.exit(f"no patient is called {', '.join(sorted(absent))}")
    (settings.folder / "cases.json").write_text(json.dumps(cases))


def child_environment(scratch: Path, threads: int) -> dict[str, str]:
    """Return what every contender finds in its environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    kept = {"PYTHONPYCACHEPREFIX": str(scratch / "bytecode"), "PYTHONWARNINGS": "ignore"}
    return {**inherited, **kept, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def prepare(settings: Settings, file: Path, names: list[str]) -> None:
    """Let the contenders preprocess."""
    for name in sorted({"nnunet" if name == "nnunet" else "tds" for name in names} & set(PREPARE)):
        start = time.monotonic()
        command = [sys.executable, "-W", "ignore", str(SCRIPT), name, "prepare", str(file)]
        environment = child_environment(settings.folder, 1)
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)  # noqa: S603
        if done.returncode:
            sys.exit(f"{name} could not prepare:\n{done.stderr[-4000:]}")
        print(f"prepared {name} in {time.monotonic() - start:.0f} s", file=sys.stderr)


def one_run(name: str, settings: Settings, file: Path, threads: int) -> dict[str, Any]:
    """Train one contender once."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), name, "train", str(file)]
    child = subprocess.Popen(  # noqa: S603  # our own script
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(settings.folder, threads),
    )
    errors: list[str] = []
    listener = threading.Thread(target=lambda: errors.append(child.stderr.read() if child.stderr else ""), daemon=True)
    listener.start()
    watch = MemoryWatch(child.pid)
    watch.start()
    events: dict[str, dict[str, Any]] = {}
    used: dict[str, float] = {}
    peak = 0
    for line in child.stdout or ():
        if not line.startswith('{"event"'):
            continue
        event = json.loads(line)
        events[event["event"]] = event
        used[event["event"]] = cpu_s(child.pid)
        if event["event"] == "stop":
            peak = watch.finish()
    child.wait()
    if "scores" not in events:
        listener.join(5)
        sys.exit(f"{name} failed:\n{''.join(errors)[-4000:]}")
    stop = events["stop"]
    seconds = stop.get("at_last_step", stop["at"]) - events["start"]["at"]
    return {
        "steps_per_s": stop["steps"] / seconds,
        "cpu_s_per_step": (used["stop"] - used["start"]) / stop["steps"],
        "peak_mib": peak / 2**20,
        "dice": events["scores"]["dice"],
    }


def summarise(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return medians, and means of Dice over patients and runs."""
    results = {}
    for name, entries in runs.items():
        regions = list(next(iter(entries[0]["dice"].values())))
        results[name] = {
            "steps_per_s": round(median(e["steps_per_s"] for e in entries), 3),
            "cpu_s_per_step": round(median(e["cpu_s_per_step"] for e in entries), 3),
            "peak_mib": round(median(e["peak_mib"] for e in entries)),
            "dice": {r: round(fmean(scores[r] for e in entries for scores in e["dice"].values()), 3) for r in regions},
        }
    return results


def read_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, nargs="?", help="patients; phantoms by default")
    parser.add_argument("--validation", nargs="+", default=list(VALIDATION), help="patients that are only scored")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--spacing", type=float, default=2.0, help="edge of a voxel in millimetres")
    parser.add_argument("--features", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--workers", type=int, default=1, help="processes that load and augment")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the process that trains")
    parser.add_argument("-n", "--runs", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=sorted(TRAIN), default=list(TRAIN))
    parser.add_argument("--scratch", type=Path, help="folder for what is prepared; a temporary one by default")
    parser.add_argument("-o", "--output", type=Path, help="artefact to write")
    return parser.parse_args()


def say(results: dict[str, dict[str, Any]], steps: int) -> dict[str, dict[str, float]]:
    """Print the table and return ours beside nnU-Net."""
    print(f"{'':10}{'steps/s':>9}{'CPU s/step':>12}{'peak MiB':>10}  Dice after {steps} steps")
    for name, result in results.items():
        dice = "  ".join(f"{region} {value:.3f}" for region, value in result["dice"].items())
        print(
            f"{name:10}{result['steps_per_s']:>9.3f}{result['cpu_s_per_step']:>12.2f}{result['peak_mib']:>10}  {dice}"
        )
    comparison: dict[str, dict[str, float]] = {}
    if "nnunet" in results:
        for name in results:
            if name != "nnunet":
                speed = results[name]["steps_per_s"] / results["nnunet"]["steps_per_s"]
                memory = results[name]["peak_mib"] / results["nnunet"]["peak_mib"]
                comparison[name] = {"speed_ratio": round(speed, 2), "memory_ratio": round(memory, 2)}
                print(f"{name}: {speed:.2f} times the steps of nnU-Net in {memory:.2f} times its memory")
    return comparison


def main() -> None:
    """Prepare, measure and tell."""
    arguments = read_arguments()
    with scratch_folder(arguments.scratch) as scratch:
        data = arguments.data or phantoms(scratch / "data", 6)
        settings = Settings(
            scratch=str(scratch),
            validation=tuple(arguments.validation if arguments.data else ("Phantom_00000", "Phantom_00001")),
            patch=arguments.patch,
            batch=arguments.batch,
            steps=arguments.steps,
            spacing_mm=arguments.spacing,
            features=tuple(arguments.features),
            workers=arguments.workers,
        )
        file = scratch / "settings.json"
        file.write_text(json.dumps(asdict(settings)))
        made_for = json.dumps([str(data), {**asdict(settings), "steps": None}, sorted(arguments.only)])
        marker = scratch / "prepared-for.json"  # a scratch folder that was given serves again
        if not marker.exists() or marker.read_text() != made_for:
            lay_out(data, settings)
            prepare(settings, file, arguments.only)
            marker.write_text(made_for)
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.only}
        for number in range(arguments.runs):
            for name in arguments.only:
                runs[name].append(one_run(name, settings, file, arguments.threads))
                print(f"run {number + 1}: {name} {runs[name][-1]}", file=sys.stderr)
    results = summarise(runs)
    comparison = say(results, settings.steps)
    if arguments.output:
        document = {
            "phantom": arguments.data is None,
            "settings": {k: v for k, v in asdict(settings).items() if k != "scratch"},
            "threads": arguments.threads,
            "runs": arguments.runs,
            "processor": processor(),
            "packages": {name: version(name) for name in PACKAGES},
            "results": results,
            "comparison": comparison,
        }
        arguments.output.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
