"""How long one patient's sequences take from disk into memory: nibabel's default, and ours with zlib and with isal.

    python benchmarks/load_time.py [PATIENT] [-n RUNS] [-o FILE.json]

PATIENT is a folder with files named after their sequences; without one a phantom of 1 mm stands in for it, and the
artefact says so. nibabel reads them as its users do, `np.asanyarray(nib.load(file).dataobj)` one file after the other.
Ours is measured one file after the other too, and side by side as `tds segment` reads them. Every run is a process of
its own that loads the patient a few times and tells the median; the first time, which imports and fills the cache of
the disk, is left out. Processor time is told beside wall time, because it suffers less from other load. The runs of
all ways are interleaved. That all ways give the same voxels and affines is checked each time. Needs `tds-data[fast]`.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from segment_time import make_study, processor

WAYS = ("nibabel", "zlib", "isal", "zlib_side_by_side", "isal_side_by_side")
LOADS = 7

Loaded = list[tuple[np.ndarray, np.ndarray]]


def nibabel_way(files: list[Path]) -> Loaded:
    """Load as nibabel's users do."""
    import nibabel as nib  # noqa: PLC0415  # each child imports what it measures

    images = [nib.load(file) for file in files]
    return [(np.asanyarray(image.dataobj), image.affine) for image in images]


def our_way(files: list[Path], *, side_by_side: bool) -> Loaded:
    """Load with tds_data."""
    from tds_data import read_many, read_volume  # noqa: PLC0415  # each child imports what it measures

    volumes = read_many(files) if side_by_side else [read_volume(file) for file in files]
    return [(volume.voxels, volume.ras_from_voxel) for volume in volumes]


def loader(way: str) -> Callable[[list[Path]], Loaded]:
    """Return the function for a way of loading."""
    if way == "nibabel":
        return nibabel_way
    if way.startswith("zlib"):
        sys.modules["isal"] = None  # type: ignore[assignment]  # as if the extra were absent
    side_by_side = way.endswith("side_by_side")
    return lambda files: our_way(files, side_by_side=side_by_side)


def child(way: str, files: list[Path]) -> dict[str, Any]:
    """Return the median wall and processor time of a few loads, and what was loaded."""
    load = loader(way)
    digest = hashlib.sha256()
    for voxels, affine in load(files):
        digest.update(str((voxels.shape, voxels.dtype.str)).encode() + np.asarray(voxels, order="C").tobytes())
        digest.update((affine.astype(np.float64) + 0.0).tobytes())  # 0 and -0 are one
    wall, cpu = [], []
    for _ in range(LOADS):
        start, start_cpu = time.perf_counter(), time.process_time()
        loaded = load(files)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
        del loaded
    return {"wall_s": median(wall), "cpu_s": median(cpu), "digest": digest.hexdigest()}


def compare(files: list[Path], runs: int) -> dict[str, Any]:
    """Return the median of each way over interleaved runs, and how many times it goes into nibabel's."""
    answers: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    digests = set()
    for _ in range(runs):
        for way in WAYS:
            command = [sys.executable, __file__, "--child", way, *map(str, files)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # this interpreter
            answers[way].append(json.loads(done.stdout))
            digests.add(answers[way][-1]["digest"])
    if len(digests) > 1:
        sys.exit("the ways of loading give different voxels or affines; nothing was compared")
    wall = {way: median(answer["wall_s"] for answer in answers[way]) for way in WAYS}
    cpu = {way: median(answer["cpu_s"] for answer in answers[way]) for way in WAYS}
    return {
        way: {
            "median_s": round(wall[way], 4),
            "slowest_s": round(max(answer["wall_s"] for answer in answers[way]), 4),
            "times_faster_than_nibabel": round(wall["nibabel"] / wall[way], 2),
            "median_cpu_s": round(cpu[way], 4),
            "times_less_cpu_than_nibabel": round(cpu["nibabel"] / cpu[way], 2),
        }
        for way in WAYS
    }


def sequences(patient: Path) -> list[Path]:
    """Return the files of a patient's sequences, without the mask."""
    from tds_data.discover import discover  # noqa: PLC0415  # children do not pay for it

    sources = discover(patient).images.values()
    return list(dict.fromkeys(source[0] if isinstance(source, tuple) else source for source in sources))


def main() -> None:
    """Compare, or be the child that loads."""
    parser = argparse.ArgumentParser(description="Time loading one patient's files against nibabel's default.")
    parser.add_argument("patient", type=Path, nargs="?", help="folder with the files; a phantom if left out")
    parser.add_argument("-n", "--runs", type=int, default=5, help="how often (default 5)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, *files = arguments.child
        print(json.dumps(child(way, [Path(file) for file in files])))
        return
    if arguments.runs < 1:
        parser.error("-n takes 1 or more")
    if find_spec("isal") is None:
        parser.error("isal is absent: install tds-data[fast]")
    if arguments.patient is not None and not arguments.patient.exists():
        parser.error("there is no such patient folder")
    other_load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        patient = arguments.patient or make_study(Path(scratch))
        files = sequences(patient)
        document = {
            "benchmark": "load_time",
            "case": "phantom" if arguments.patient is None else patient.name,
            "phantom": arguments.patient is None,
            "files": len(files),
            "packed_mb": round(sum(file.stat().st_size for file in files) / 1e6, 2),
            "cores": len(os.sched_getaffinity(0)),
            "other_load": other_load,
            "processor": processor(),
            "python": platform.python_version(),
            "runs": arguments.runs,
            "loads_per_run": LOADS,
            "nibabel_has_indexed_gzip": find_spec("indexed_gzip") is not None,
            "versions": {name: version(name) for name in ("tds-data", "nibabel", "isal", "numpy")},
            **compare(files, arguments.runs),
        }
    for way in WAYS:
        row = document[way]
        wall, cpu = row["times_faster_than_nibabel"], row["times_less_cpu_than_nibabel"]
        print(f"{way:18} {row['median_s'] * 1000:7.1f} ms   {wall:5.2f} x nibabel, {cpu:5.2f} x in processor time")
    if arguments.output:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
