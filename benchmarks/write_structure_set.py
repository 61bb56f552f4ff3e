"""How long contours take, and whether they give the mask back: ours against rt-utils on the same masks in one run.

    python benchmarks/write_structure_set.py [-n RUNS] [-o FILE.json] [--size MM]

The study is a made-up one of 240 x 240 x 155 voxels of 1 mm with several lesions of all labels, some with holes.
Writing is timed from the mask in memory to the file, reading from the file to masks, with the images' headers already
loaded in both programs. Each program reads its own file; rt-utils reads ours as well.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rt_utils import RTStructBuilder

from tds_clinical.dicom import read_series_headers, read_source
from tds_clinical.dicom.reading_structures import read_structure_set
from tds_clinical.dicom.writing.structure_set import build_structure_set
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_clinical.testing.mask_report import report_mask
from tds_clinical.uids import Uids
from tds_data.vocabulary import Label
from tds_data.volume import Volume

SHAPE = (240, 240, 155)
CENTRES = ((80, 100, 70), (160, 140, 90), (120, 60, 40), (60, 170, 110), (170, 70, 120))
Masks = Mapping[str, NDArray[np.bool_]]


def main() -> None:
    """Measure and tell."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        document = _measure(arguments, Path(scratch))
    for name, row in document["programs"].items():
        print(
            f"{name}: written in {row['write_s']} s, read in {row['read_s']} s, {row['kib']} KiB, "
            f"{row['wrong_voxels']} of {document['voxels']} voxels come back wrong"
        )
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _measure(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])  # columns and rows as scanners store them, square as rt-utils needs them
    mask = _draw(arguments.size, affine)
    series = scratch / "series"
    write_classic_series(mask.with_voxels(mask.voxels.astype(np.uint16)), series, ClassicSeriesOptions())
    source = read_source(read_series_headers(series)[0])
    mask = Volume(mask.voxels, source.ras_from_voxel)
    uids = Uids.reproducible("benchmark")
    context = ResultContext(
        source=source,
        findings=find_findings(mask, report_mask(mask), uids),
        uids=uids,
        made_at=datetime(2000, 1, 1, tzinfo=UTC),
    )
    masks = {
        f"Lesion {segment.lesion} {segment.label.name}": context.findings.voxels_of(segment)
        for segment in context.findings.segments
    }
    ours, theirs = scratch / "ours.dcm", scratch / "theirs.dcm"

    def write_ours() -> None:
        build_structure_set(context).save_as(ours, enforce_file_format=True)

    def read_ours() -> Masks:
        return {found.name: np.asarray(found.volume.voxels, bool) for found in read_structure_set(ours, source)}

    rows = {
        "tds-clinical": _row(arguments.runs, ours, write_ours, read_ours, masks),
        "rt-utils": _row(
            arguments.runs, theirs, lambda: _write_theirs(series, masks, theirs), lambda: _read(series, theirs), masks
        ),
    }
    rows["tds-clinical, read by rt-utils"] = _row(arguments.runs, ours, write_ours, lambda: _read(series, ours), masks)
    return {
        "shape": SHAPE,
        "segments": len(masks),
        "voxels": int((mask.voxels > 0).sum()),
        "programs": rows,
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in ("tds-clinical", "rt-utils", "numpy", "pydicom")},
        "other_load": round(os.getloadavg()[0], 2),
    }


def _row(
    runs: int, path: Path, write: Callable[[], None], read: Callable[[], Masks], masks: Masks
) -> dict[str, float | int]:
    written, read_in = [], []
    found: Masks = {}
    for _ in range(runs):
        written.append(_seconds(write))
        begun = time.perf_counter()
        found = read()
        read_in.append(time.perf_counter() - begun - LOADING.pop("s", 0.0))
    wrong = sum(int((found[name] != truth).sum()) for name, truth in masks.items())
    return {
        "write_s": round(median(written), 3),
        "read_s": round(median(read_in), 3),
        "kib": path.stat().st_size // 1024,
        "wrong_voxels": wrong,
    }


LOADING: dict[str, float] = {}
"""Seconds that rt-utils has just spent on loading the images, which are no part of the work that is compared."""


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun - LOADING.pop("s", 0.0)


def _write_theirs(series: Path, masks: Masks, path: Path) -> None:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # it uses what pydicom is about to drop
        begun = time.perf_counter()
        structures = RTStructBuilder.create_new(dicom_series_path=str(series))
        LOADING["s"] = time.perf_counter() - begun
        for name, mask in masks.items():
            structures.add_roi(mask=np.ascontiguousarray(mask.transpose(1, 0, 2)), name=name)
        structures.save(str(path))


def _read(series: Path, path: Path) -> Masks:
    begun = time.perf_counter()
    structures = RTStructBuilder.create_from(dicom_series_path=str(series), rt_struct_path=str(path))
    LOADING["s"] = time.perf_counter() - begun
    names = structures.get_roi_names()
    return {name: structures.get_roi_mask_by_name(name).transpose(1, 0, 2) for name in names}


def _draw(size_mm: float, affine: NDArray[np.float64]) -> Volume:
    """Return lesions of oedema around enhancement around necrosis, with rough rims and holes."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in SHAPE), indexing="ij"))
    voxels = np.zeros(SHAPE, np.uint8)
    for centre in CENTRES:
        radius = size_mm * rng.uniform(0.6, 1.0)
        away = np.sqrt(((grid - np.array(centre, np.float32).reshape(3, 1, 1, 1)) ** 2).sum(axis=0))
        waves = sum(np.sin(grid[axis] * rng.uniform(0.2, 0.7)) for axis in range(3))
        depth = radius - away + 1.5 * waves
        for label, reached in ((Label.ED, 0.0), (Label.ET, radius * 0.4), (Label.NCR, radius * 0.7)):
            voxels[depth > reached] = label
    return Volume(voxels, affine)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare structure sets with those of rt-utils.")
    parser.add_argument("-n", "--runs", type=int, default=3, help="how often each program works (default 3)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--size", type=float, default=22.0, help="largest radius of a lesion in mm (default 22)")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("-n takes 1 or more")
    return arguments


if __name__ == "__main__":
    main()
