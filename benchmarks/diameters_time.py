"""How long it takes to measure the diameters of lesions.

    python benchmarks/diameters_time.py [MASK ...] [-n RUNS] [-o FILE.json]

MASK is a NIfTI file with labels 0 to 3 (or 4 for enhancing tumour). Without one, a made-up mask of 240 x 240 x 155
voxels is measured: a large ring with oedema, and a small one. What is timed is `map_lesions` and `measure_lesions` on a
mask in memory; the median of the runs after one that is not counted is told, processor time beside wall time.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from segment_time import processor

from tds_clinical.measurement import map_lesions, measure_lesions
from tds_clinical.testing.mask_report import report_mask
from tds_data.labels import read_reference
from tds_data.volume import Volume

SHAPE = (240, 240, 155)
BALLS = (
    ((100, 120, 80), (45, 40, 35), 2),
    ((100, 120, 80), (28, 22, 25), 3),
    ((100, 120, 80), (18, 15, 20), 1),
    ((180, 120, 60), (12, 10, 8), 2),
    ((180, 120, 60), (8, 7, 6), 3),
)


def made_up() -> Volume:
    """Return the made-up mask."""
    grid = np.indices(SHAPE).astype(np.float32)
    voxels = np.zeros(SHAPE, np.uint8)
    for centre, radii, label in BALLS:
        distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True))
        voxels[distance < 1] = label
    return Volume(voxels, np.eye(4))


def timed(call: Callable[[], object], runs: int) -> dict[str, float]:
    """Return the median wall and processor time of a call."""
    call()
    walls, processors = [], []
    for _ in range(runs):
        wall, own = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - own)
    return {"wall_s": median(walls), "cpu_s": median(processors)}


def measured(name: str, mask: Volume, runs: int) -> dict[str, Any]:
    """Return the times of one mask."""
    report = report_mask(mask)
    lesions = map_lesions(mask, report)
    found = measure_lesions(mask, lesions, report)
    longest = max((d.longest_mm for entry in found for d in entry.diameters.values()), default=0.0)
    return {
        "mask": name,
        "shape": list(mask.shape),
        "lesions": len(report.lesions),
        "longest_mm": longest,
        "map": timed(lambda: map_lesions(mask, report), runs),
        "measure": timed(lambda: measure_lesions(mask, lesions, report), runs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", nargs="*", type=Path, metavar="MASK")
    parser.add_argument("-n", "--runs", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    masks = [(f"patient {n}", read_reference(path)) for n, path in enumerate(arguments.masks, start=1)]
    results = [measured(name, mask, arguments.runs) for name, mask in masks or [("made up", made_up())]]
    document = {"processor": processor(), "cores": os.cpu_count(), "runs": arguments.runs, "results": results}
    text = json.dumps(document, indent=2)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
