"""How long it takes to read a classic MR series from DICOM, beside SimpleITK and dicom2nifti.

    python benchmarks/read_dicom.py [-n ROUNDS] [-o FILE.json] [--slices COUNT] [--size PIXELS]

A made-up series is written once, in files of no spatial order. In each round every reader starts from the folder,
finds the series, sorts its slices and ends with the voxels in memory; the readers take turns, so that whatever else the
machine does meets all of them. Before the first round all of them read once, which fills the cache of the file system,
and their voxels are compared: who reads something else is not measured. Times are of one thread.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Voxels = NDArray[np.generic]
READERS: Final = ("tds-clinical", "SimpleITK", "dicom2nifti")


def main() -> None:
    """Measure and tell."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        folder = Path(scratch) / "series"
        _write(folder, arguments)
        readers = _readers()
        _check_alike({name: read(folder) for name, read in readers.items()})
        rounds = [{name: _timed(read, folder) for name, read in readers.items()} for _ in range(arguments.rounds)]
    ours = READERS[0]
    medians = {
        name: {kind: round(median(r[name][kind] for r in rounds), 4) for kind in ("wall_s", "cpu_s")}
        for name in READERS
    }
    document = {
        "slices": arguments.slices,
        "size": arguments.size,
        "rounds": rounds,
        "median": medians,
        "times_as_long": {
            name: {kind: round(medians[name][kind] / medians[ours][kind], 2) for kind in ("wall_s", "cpu_s")}
            for name in READERS[1:]
        },
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in (*READERS, "pydicom", "numpy")},
        "other_load": arguments.other_load,
    }
    _tell(document)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time reading a DICOM series.")
    parser.add_argument("-n", "--rounds", type=int, default=7, help="how often each reader reads (default 7)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--slices", type=int, default=200, help="files of the series (default 200)")
    parser.add_argument("--size", type=int, default=512, help="rows and columns (default 512)")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.slices < 4 or arguments.size < 1:  # noqa: PLR2004  # what dicom2nifti asks for
        parser.error("-n and --size take 1 or more, --slices 4 or more")
    arguments.other_load = round(os.getloadavg()[0], 2)
    return arguments


def _write(folder: Path, arguments: argparse.Namespace) -> None:
    from tds_clinical.testing import ClassicSeriesOptions, write_classic_series  # noqa: PLC0415  # after the arguments
    from tds_data import Volume  # noqa: PLC0415  # as above

    shape = (arguments.size, arguments.size, arguments.slices)
    voxels = np.random.default_rng(1).integers(0, 4096, shape, dtype=np.uint16)
    affine = np.array([[-0.5, 0, 0, 128], [0, -0.5, 0, 128], [0, 0, 1, -80], [0, 0, 0, 1]])
    write_classic_series(Volume(voxels, affine), folder, ClassicSeriesOptions(seed=1))


def _readers() -> dict[str, Callable[[Path], Voxels]]:
    import dicom2nifti  # noqa: PLC0415  # after the arguments
    import SimpleITK as sitk  # noqa: N813, PLC0415  # its usual name; as above

    from tds_clinical.dicom import read_series, scan_folder  # noqa: PLC0415  # as above

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    kept: list[sitk.Image] = []

    def ours(folder: Path) -> Voxels:
        (series,) = scan_folder(folder).series
        return read_series(series).voxels

    def simple_itk(folder: Path) -> Voxels:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        image = reader.Execute()
        kept[:] = [image]  # the view below does not keep it
        return sitk.GetArrayViewFromImage(image).T

    def to_nifti(folder: Path) -> Voxels:
        made = dicom2nifti.dicom_series_to_nifti(str(folder), None, reorient_nifti=False)
        voxels: Voxels = np.asarray(made["NII"].dataobj)
        return voxels

    return dict(zip(READERS, (ours, simple_itk, to_nifti), strict=True))


def _check_alike(read: dict[str, Voxels]) -> None:
    ours = read[READERS[0]]
    for name, voxels in read.items():
        if not any(np.array_equal(ours, flipped) for flipped in (voxels, voxels[:, ::-1], voxels[::-1, ::-1])):
            sys.exit(f"{name} reads other voxels, so times mean nothing")


def _timed(read: Callable[[Path], Voxels], folder: Path) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    read(folder)
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}


def _tell(document: dict[str, Any]) -> None:
    print(
        f"{document['slices']} slices of {document['size']} x {document['size']}, median of {len(document['rounds'])}"
    )
    print(f"{'reader':<14} {'wall s':>8} {'CPU s':>8} {'as long as ours':>16}")
    for name, seconds in document["median"].items():
        times = document["times_as_long"].get(name, {}).get("wall_s", 1.0)
        print(f"{name:<14} {seconds['wall_s']:>8.3f} {seconds['cpu_s']:>8.3f} {times:>15.1f}x")


if __name__ == "__main__":
    main()
