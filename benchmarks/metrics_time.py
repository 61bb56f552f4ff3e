"""How long it takes to score masks of real patients: MONAI and ours in turns.

    python benchmarks/metrics_time.py DATA [--case NAME] [-n RUNS] [-o FILE.json]

DATA holds one folder per patient with an expert's mask. Every patient gives two pairs: the default model's mask against
the expert's, and the expert's mask grown by a voxel and moved by two against itself. All regions of BraTS are scored.
Each way gets what it takes without conversion: MONAI boolean tensors, ours boolean arrays, all ready beforehand.
The runs of all ways alternate in one process, after one that is not counted, and the median of each is told. Processor
time is told beside wall time, because it suffers less from other load.

- `hd95`: MONAI's `compute_hausdorff_distance(percentile=95)`, which has our definition.
- `surface_dice`: MONAI's `compute_surface_dice` with sub-voxel surfaces, which has our definition, and as it is by
  default, which counts surface voxels.
- `lesion_wise`: MONAI has no such metric. Its way is the definition of BraTS 2023 with SciPy's dilation, connected
  components, and MONAI's Dice and Hausdorff distance for each lesion. It is timed with whole masks, as the challenge
  scored them, and with masks that somebody has cut to the box around both before the clock starts.
- `all`: every score of every region from label maps by `score_masks`; MONAI's HD95 and surface Dice alone.

Values must agree: ours with MONAI's to a millionth (its distances have single precision), and to 1e-6 with HD95 in
double precision and with DeepMind's surface-distance, which the lesion-wise definition is checked with too. Otherwise
nothing is written and the exit status is 1.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any

import cc3d
import numpy as np
import surface_distance
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from segment_time import processor

from tds_core import TumorDetector, metrics
from tds_core.evaluation import case_folders
from tds_data.discover import discover
from tds_data.study_files import load_case
from tds_data.task import BRAIN_TUMOUR

Mask = NDArray[np.bool_]
Times = dict[str, float]
Spacing = tuple[float, float, float]

TOLERANCE_MM = 1.0
CLOSE = 1e-6
REGIONS = BRAIN_TUMOUR.regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two label maps of one patient."""

    name: str
    kind: str
    found: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    spacing_mm: Spacing


def pairs(data: Path, names: list[str]) -> Iterator[Pair]:
    """Yield the pairs of each patient."""
    detector = TumorDetector()
    for folder in case_folders(data, names):
        case = load_case(discover(folder))
        if case.reference is None:
            sys.exit(f"{folder.name} has no expert's mask; name other patients with --case")
        truth = np.ascontiguousarray(case.reference.voxels, dtype=np.uint8)
        shared = {"name": folder.name, "truth": truth, "spacing_mm": case.reference.spacing_mm}
        found = np.ascontiguousarray(detector.predict_case(case).mask.voxels, dtype=np.uint8)
        yield Pair(kind="model", found=found, **shared)
        yield Pair(kind="moved", found=np.roll(ndimage.grey_dilation(truth, size=(3, 3, 3)), 2, axis=0), **shared)


def tensor(mask: Mask) -> torch.Tensor:
    """Return a mask as MONAI takes it."""
    return torch.from_numpy(np.ascontiguousarray(mask))[None, None]


def monai_hd95(found: torch.Tensor, truth: torch.Tensor, spacing_mm: Spacing) -> float:
    """Return MONAI's HD95."""
    distance = compute_hausdorff_distance(found, truth, include_background=True, percentile=95, spacing=spacing_mm)
    return float(distance)


def monai_surface_dice(found: torch.Tensor, truth: torch.Tensor, spacing_mm: Spacing, *, subvoxels: bool) -> float:
    """Return MONAI's surface Dice."""
    options = {"include_background": True, "spacing": spacing_mm, "use_subvoxels": subvoxels}
    return float(compute_surface_dice(found, truth, [TOLERANCE_MM], **options))


def theirs_surface_dice(found: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """Return the surface Dice of surface-distance."""
    distances = surface_distance.compute_surface_distances(truth, found, spacing_mm)
    return float(surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM))


def lesion_wise(found: Mask, truth: Mask, spacing_mm: Spacing, hd95: Callable[..., float]) -> tuple[float, float]:
    """Return lesion-wise Dice and HD95, lesion by lesion as BraTS 2023 defines them."""
    grow = ndimage.generate_binary_structure(3, 2)
    parts, count = cc3d.connected_components(found, connectivity=26, return_N=True)
    grown = ndimage.binary_dilation(truth, grow, iterations=3)
    zones, zone_count = cc3d.connected_components(grown, connectivity=26, return_N=True)
    scores, touched = [], set()
    for zone in range(1, zone_count + 1):
        lesion = truth & (zones == zone)
        mine = set(np.unique(parts[zones == zone]).tolist()) - {0}
        touched |= mine
        if lesion.sum() * np.prod(spacing_mm) <= 50:  # noqa: PLR2004  # cubic millimetres
            continue
        together = np.isin(parts, list(mine))
        one, two = tensor(together), tensor(lesion)
        scores.append((float(compute_dice(one, two)), hd95(together, lesion, spacing_mm) if mine else 374.0))
    false = count - len(touched)
    total = len(scores) + false
    if not total:
        return 1.0, 0.0
    return sum(dice for dice, _ in scores) / total, (sum(mm for _, mm in scores) + 374.0 * false) / total


def theirs_hd95(found: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """Return the area-weighted HD95 of surface-distance."""
    return float(
        surface_distance.compute_robust_hausdorff(
            surface_distance.compute_surface_distances(truth, found, spacing_mm), 95
        )
    )


def oracle_hd95(found: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """Return HD95 in double precision, from all surface voxels."""
    sides = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * np.array(spacing_mm) for mask in (found, truth)]
    ways = (KDTree(sides[1]).query(sides[0])[0], KDTree(sides[0]).query(sides[1])[0])
    return max(float(np.percentile(distances, 95)) for distances in ways)


def region_ways(found: Mask, truth: Mask, spacing_mm: Spacing) -> dict[str, dict[str, Callable[[], Any]]]:
    """Return the ways of each metric of one region."""
    one, two = tensor(found), tensor(truth)
    near = cut(found, truth)

    def monai_lesion_hd95(mine: Mask, lesion: Mask, spacing_mm: Spacing) -> float:
        return monai_hd95(tensor(mine), tensor(lesion), spacing_mm)

    return {
        "hd95": {
            "monai": lambda: monai_hd95(one, two, spacing_mm),
            "ours": lambda: metrics.hd95_mm(found, truth, spacing_mm),
        },
        "surface_dice": {
            "monai": lambda: monai_surface_dice(one, two, spacing_mm, subvoxels=True),
            "monai_voxels": lambda: monai_surface_dice(one, two, spacing_mm, subvoxels=False),
            "ours": lambda: metrics.surface_dice(found, truth, spacing_mm, tolerance_mm=TOLERANCE_MM),
        },
        "lesion_wise": {
            "monai": lambda: lesion_wise(found, truth, spacing_mm, monai_lesion_hd95),
            "monai_cut": lambda: lesion_wise(*near, spacing_mm, monai_lesion_hd95),
            "ours": lambda: metrics.score_lesions(found, truth, spacing_mm),
        },
    }


def whole_ways(pair: Pair) -> dict[str, dict[str, Callable[[], Any]]]:
    """Return the ways of scoring all regions."""
    spacing_mm = pair.spacing_mm

    def stacked(labels: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.isin(labels, numbers) for numbers in REGIONS.values()]))[None]

    one, two = stacked(pair.found), stacked(pair.truth)
    shared = {"include_background": True, "spacing": spacing_mm}

    def monai() -> None:
        compute_hausdorff_distance(one, two, percentile=95, **shared)
        compute_surface_dice(one, two, [TOLERANCE_MM] * len(REGIONS), use_subvoxels=True, **shared)

    return {"all": {"monai": monai, "ours": lambda: metrics.score_masks(pair.found, pair.truth, spacing_mm, REGIONS)}}


def measured(ways: Mapping[str, Callable[[], Any]], runs: int) -> tuple[dict[str, Times], dict[str, Any]]:
    """Return the median times of each way over runs in turns, and its value."""
    values = {name: way() for name, way in ways.items()}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            way()
            wall[name].append(1000 * (time.perf_counter() - start))
            cpu[name].append(1000 * (time.process_time() - start_cpu))
    return {name: {"wall_ms": median(wall[name]), "cpu_ms": median(cpu[name])} for name in ways}, values


def cut(found: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Return masks cut to the box around both, with room for what is dilated."""
    (box,) = ndimage.find_objects((found | truth).astype(np.uint8))
    wide = tuple(slice(max(0, along.start - 5), along.stop + 5) for along in box)
    return found[wide].copy(), truth[wide].copy()


def differences(values: Mapping[str, Mapping[str, Any]], found: Mask, truth: Mask, mm: Spacing) -> dict[str, float]:
    """Return how far our values are from each of the others of the same definition."""
    hd95, surface, lesions = (values[name]["ours"] for name in ("hd95", "surface_dice", "lesion_wise"))
    found, truth = cut(found, truth)
    by_lesion = lesion_wise(found, truth, mm, theirs_hd95)
    return {
        "hd95_from_oracle_mm": abs(hd95 - oracle_hd95(found, truth, mm)),
        "hd95_from_monai_share": abs(hd95 / values["hd95"]["monai"] - 1.0) if hd95 else values["hd95"]["monai"],
        "surface_dice_from_monai": abs(surface - values["surface_dice"]["monai"]),
        "surface_dice_from_surface_distance": abs(surface - theirs_surface_dice(found, truth, mm)),
        "lesion_dice_from_definition": abs(lesions.dice - by_lesion[0]),
        "lesion_hd95_from_definition_mm": abs(lesions.hd95_mm - by_lesion[1]),
    }


def compare(data: Path, names: list[str], runs: int) -> dict[str, Any]:
    """Return times by metric and kind of pair, and the largest differences of values."""
    rows: list[dict[str, Any]] = []
    largest: dict[str, float] = {}
    for pair in pairs(data, names):
        print(f"{pair.name}, {pair.kind}", file=sys.stderr)
        times, _ = measured(whole_ways(pair)["all"], runs)
        rows.append({"patient": pair.name, "kind": pair.kind, "region": "all", "metric": "all", "times": times})
        for region, numbers in REGIONS.items():
            found, truth = np.isin(pair.found, numbers), np.isin(pair.truth, numbers)
            if not (found.any() and truth.any()):
                continue
            values = {}
            for metric, ways in region_ways(found, truth, pair.spacing_mm).items():
                times, values[metric] = measured(ways, runs)
                place = {"patient": pair.name, "kind": pair.kind, "region": region, "metric": metric}
                rows.append({**place, "times": times})
            for name, value in differences(values, found, truth, pair.spacing_mm).items():
                largest[name] = max(largest.get(name, 0.0), float(value))
    return {"largest_difference": largest, **summed(rows), "pairs": [rounded(row) for row in rows]}


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return for each metric and kind the mean times of each way, and how many times ours goes into MONAI's."""
    summary: dict[str, Any] = {}
    for metric, kind in dict.fromkeys((row["metric"], row["kind"]) for row in rows):
        chosen = [row["times"] for row in rows if (row["metric"], row["kind"]) == (metric, kind)]
        entry: dict[str, Any] = {"pairs": len(chosen)}
        for clock in ("wall", "cpu"):
            means = {way: fmean(times[way][f"{clock}_ms"] for times in chosen) for way in chosen[0]}
            factors = [times["monai"][f"{clock}_ms"] / times["ours"][f"{clock}_ms"] for times in chosen]
            entry[clock] = {
                **{f"{way}_ms": round(mean, 2) for way, mean in means.items()},
                "times_faster_than_monai": round(means["monai"] / means["ours"], 1),
                "least_times_faster": round(min(factors), 1),
                "median_times_faster": round(median(factors), 1),
            }
        summary.setdefault(metric, {})[kind] = entry
    return summary


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its times to a hundredth of a millisecond."""
    times = {way: {name: round(value, 2) for name, value in clocks.items()} for way, clocks in row["times"].items()}
    return {**row, "times": times}


def main() -> None:
    """Compare, print a table and write the artefact."""
    parser = argparse.ArgumentParser(description="Time the metrics against MONAI's on real patients.")
    parser.add_argument("data", type=Path, help="folder with a sub-folder for each patient")
    parser.add_argument("--case", action="append", default=[], help="only this patient; may be given again")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how often (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.runs < 1 or not arguments.data.is_dir():
        parser.error("-n takes 1 or more, and DATA is a folder")
    warnings.simplefilter("ignore")  # MONAI and surface-distance call libraries in old ways
    other_load = round(os.getloadavg()[0], 2)
    document = {
        "benchmark": "metrics_time",
        "phantom": False,
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "other_load": other_load,
        "processor": processor(),
        "python": platform.python_version(),
        "runs": arguments.runs,
        "tolerance_mm": TOLERANCE_MM,
        "versions": {
            name: version(name) for name in ("tds-core", "monai", "torch", "scipy", "numpy", "surface-distance")
        },
        **compare(arguments.data, arguments.case, arguments.runs),
    }
    for metric in ("hd95", "surface_dice", "lesion_wise", "all"):
        for kind, clock in product(document[metric], ("wall", "cpu")):
            row = document[metric][kind][clock]
            ways = ", ".join(f"{name[:-3]} {value:.1f} ms" for name, value in row.items() if name.endswith("_ms"))
            factors = f"{row['times_faster_than_monai']} x ({row['least_times_faster']} x at least)"
            print(f"{metric:13} {kind:6} {clock:5} {factors:28} {ways}")
    apart = {name: value for name, value in document["largest_difference"].items() if value > CLOSE}
    for name, value in document["largest_difference"].items():
        print(f"{name:36} {value:.2g}")
    if apart:
        sys.exit(f"values differ: {', '.join(apart)}; nothing was written")
    if arguments.output:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
