"""How long the report of a study of 240 x 240 x 155 voxels takes: HTML, PDF and key images, from voxels to bytes.

The study is noise in an ellipsoid with three tumours of three labels, each in nested balls. What takes time is the size
of the grid, the number of sequences and that of lesions; noise makes the pictures no easier to compress than patients.

    python benchmarks/report_time.py [--repeats 5] [-o FILE.json]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tds_clinical.measurement import map_lesions, measure_lesions
from tds_clinical.reports import PreparedReport, ReportOptions, prepare_report
from tds_data.case import Case
from tds_data.report import Lesion, LesionReport, ModelIdentity, QualityFlag, Severity
from tds_data.vocabulary import MODALITIES, REGION_LABELS, REGIONS, Region
from tds_data.volume import Volume

SHAPE = (240, 240, 155)
CENTRES = ((90, 140, 90), (150, 90, 70), (120, 170, 60))
RADII = (24.0, 14.0, 8.0)
STUDY = "benchmark"


def main() -> None:
    """Print the median time of each document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    case, mask = make_study()
    report = report_on(mask)
    options = ReportOptions(
        measurements=measure_lesions(mask, map_lesions(mask, report), report),
        model_card=("What it was trained on.", "What it is not for."),
        made_at=datetime(2025, 1, 1, tzinfo=UTC),
    )
    prepare_report(case, mask, report, options).pdf()  # imports everything first
    times = [measure(lambda: prepare_report(case, mask, report, options)) for _ in range(repeats)]
    print(f"{len(report.lesions)} lesions, {len(MODALITIES)} sequences, median of {repeats}")
    medians = {name: round(median(entry[name] for entry in times), 3) for name in times[0]}
    for name, seconds in medians.items():
        print(f"{name:>12}  {seconds:.3f} s")
    if arguments.output is not None:
        document = {
            "size": SHAPE,
            "lesions": len(report.lesions),
            "repeats": repeats,
            "median_s": medians,
            "cores": len(os.sched_getaffinity(0)),
            "platform": platform.platform(),
            "versions": {name: version(name) for name in ("tds-clinical", "fpdf2", "jinja2", "pillow", "numpy")},
        }
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def measure(prepare: Callable[[], PreparedReport]) -> dict[str, float]:
    """Return the seconds that each step took."""
    steps: dict[str, float] = {}

    def timed(name: str, step: Callable[[], object]) -> object:
        start = time.perf_counter()
        made = step()
        steps[name] = time.perf_counter() - start
        return made

    prepared = timed("prepare", prepare)
    if not isinstance(prepared, PreparedReport):
        message = "nothing was prepared"
        raise TypeError(message)
    timed("html", prepared.html)
    timed("pdf", prepared.pdf)
    timed("key images", prepared.key_pictures)
    steps["html and pdf"] = steps["prepare"] + steps["html"] + steps["pdf"]
    return steps


def make_study() -> tuple[Case, Volume]:
    """Return four sequences of noise in a head, and labels of three tumours."""
    rng = np.random.default_rng(0)
    head = distance((120, 120, 77), (85, 100, 70)) < 1
    labels = np.zeros(SHAPE, np.uint8)
    for centre, radius in zip(CENTRES, RADII, strict=True):
        far = distance(centre, (1, 1, 1))
        for label, share in ((2, 1.0), (3, 0.7), (1, 0.4)):
            labels[far < radius * share] = label
    images = {
        modality: Volume((head * rng.normal(100, 10, SHAPE) + 20 * labels).astype(np.float32), np.eye(4))
        for modality in MODALITIES
    }
    return Case(name=STUDY, images=images), Volume(labels, np.eye(4))


def distance(centre: tuple[int, ...], radii: tuple[int, ...]) -> NDArray[np.float64]:
    """Return how far each voxel is from a centre, in radii."""
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    squares = [((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii, strict=True)]
    return np.sqrt(squares[0] + squares[1] + squares[2])


def report_on(mask: Volume) -> LesionReport:
    """Return what a segmentation would say of the labels."""
    lesions = []
    for number, (centre, radius) in enumerate(zip(CENTRES, RADII, strict=True), start=1):
        inside = distance(centre, (1, 1, 1)) < radius
        volumes = volumes_of(np.where(inside, mask.voxels, 0))
        x, y, z = np.argwhere(inside).mean(axis=0).tolist()
        low = (centre[0] - radius, centre[1] - radius, centre[2] - radius)
        high = (centre[0] + radius, centre[1] + radius, centre[2] + radius)
        lesions.append(
            Lesion(
                number=number,
                centroid_mm=(x, y, z),
                bounding_box_mm=(low, high),
                longest_diameter_mm=2 * radius,
                volume_ml=volumes,
                volume_interval_ml={region: (0.9 * v, 1.1 * v) for region, v in volumes.items()},
            )
        )
    totals = volumes_of(mask.voxels)
    return LesionReport(
        case=STUDY,
        modalities=MODALITIES,
        lesions=tuple(lesions),
        volume_ml=totals,
        quality=(QualityFlag(code="BENCHMARK", severity=Severity.INFO, message="Made up to measure time."),),
        model=ModelIdentity(name="none", version="0", sha256="0" * 64, architecture="none", licence="none"),
        phantom=True,
        volume_interval_ml={region: (0.9 * v, 1.1 * v) for region, v in totals.items()},
        interval_method="Made up to measure time.",
    )


def volumes_of(labels: NDArray[Any]) -> dict[Region, float]:
    """Return millilitres of each region, for voxels of a cubic millimetre."""
    return {region: float(np.isin(labels, list(REGION_LABELS[region])).sum()) / 1000 for region in REGIONS}


if __name__ == "__main__":
    main()
