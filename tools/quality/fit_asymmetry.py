"""Learn how brains lean, and measure how well a mirrored study is told from a right one.

    python tools/quality/fit_asymmetry.py PATIENTS [--held-out NAME ...] [-o asymmetry.npz]

PATIENTS is a folder of patients whose left and right are known to be right. The map is the mean difference between the
sides over its variance, learned from all but the held-out patients. Printed are each patient's scores, as it is and
mirrored, under a map that was learned without it: by leaving one out, and for the held-out ones under the final map.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tds_data import load_case
from tds_data.discover import discover
from tds_data.quality.content.asymmetry import CHANNELS, lateral_features, measure_leaning
from tds_data.quality.content.atlas import Placed, place
from tds_data.quality.content.brain import lay_brain
from tds_data.quality.content.flipped import LEANING
from tds_data.quality.content.view import make_view

TARGET = Path(__file__).resolve().parents[2] / "packages/tds-data/src/tds_data/quality/content/asymmetry.npz"
HELD_OUT = ("BraTS2021_00003", "BraTS2021_01481")
FLOOR = 3.0
"""What is added to each variance, in mean variances: a dozen patients do not know the variance of a single voxel."""
Weights = dict[str, NDArray[np.float64]]


def placed(folder: Path, *, marked: bool) -> Placed:
    """Return a patient on the atlas's lattice; without its mask, as in use, unless `marked`."""
    case = load_case(discover(folder))
    view = make_view(type(case)(name=case.name, images=case.images, reference=case.reference if marked else None))
    fit = lay_brain(view)
    if fit is None:
        message = f"{folder.name} holds too little to fit"
        raise SystemExit(message)
    return place(view, fit)


def learned(patients: list[Placed]) -> Weights:
    """Return the map that some patients teach: mean over variance, quantised as it is stored."""
    features = [lateral_features(patient) for patient in patients]
    stacks = {name: np.stack([feature[name] for feature in features]) for name in CHANNELS}
    variances = {name: stack.var(axis=0, ddof=1) for name, stack in stacks.items()}
    floor = FLOOR * np.concatenate(list(variances.values())).mean()
    weights = {name: stack.mean(axis=0) / (variances[name] + floor) for name, stack in stacks.items()}
    largest = np.quantile(np.abs(np.concatenate(list(weights.values()))), 0.995)
    return {name: np.rint(np.clip(values / largest, -1, 1) * 127) for name, values in weights.items()}


def main() -> None:
    """Learn, measure and write."""
    parser = argparse.ArgumentParser(description="Learn and measure the asymmetry of brains.")
    parser.add_argument("patients", type=Path, help="folder of patients")
    parser.add_argument("--held-out", nargs="*", default=list(HELD_OUT), help="patients not to learn from")
    parser.add_argument("-o", "--output", type=Path, default=TARGET, help="file to write")
    arguments = parser.parse_args()
    folders = sorted(folder for folder in arguments.patients.iterdir() if folder.is_dir())
    teachers = [folder for folder in folders if folder.name not in arguments.held_out]
    marked = {folder: placed(folder, marked=True) for folder in teachers}
    weights = learned(list(marked.values()))
    np.savez_compressed(arguments.output, **{name: values.astype(np.int8) for name, values in weights.items()})
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1000:.0f} kB, from {len(teachers)} patients")
    scores = []
    for folder in folders:
        others = [patient for name, patient in marked.items() if name != folder]
        known = learned(others) if folder in marked else weights
        score = measure_leaning(placed(folder, marked=False), known)
        scores.append(score)
        how = "left out" if folder in marked else "held out"
        print(f"{folder.name:20} {how}  as it is {score:+.3f}  mirrored {-score:+.3f}")
    values = np.array(scores)
    print(f"mean {values.mean():+.3f}, deviation {values.std(ddof=1):.3f}, limit {LEANING:+.3f}")
    print(f"mirrored and flagged: {(-values < LEANING).sum()} of {len(values)}")
    print(f"right and flagged: {(values < LEANING).sum()} of {len(values)}")


if __name__ == "__main__":
    main()
