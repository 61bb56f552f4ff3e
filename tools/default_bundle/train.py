"""Train the default model: `python tools/default_bundle/train.py [--run RUN] [--recipe RECIPE]`.

Needs `tds-core[train]` and `tds-data[phantom]`, and TDS_REAL_DATA naming the folder that the recipe's paths start from.
A run that was stopped goes on where its last checkpoint was.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
import yaml
from torch import Tensor

from tds_core.bundle import load_bundle
from tds_core.training.export import read_network
from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.checkpoint import CHECKPOINT_NAME, save_checkpoint
from tds_core.training.mixture.config import DataConfig, TrainingConfig, as_document, load_config
from tds_core.training.mixture.loop import Progress, train
from tds_core.training.mixture.samples import (
    Cube,
    Sample,
    load_cubes,
    load_shapes,
    make_sample,
    preprocessing,
    shape_regions,
)
from tds_data.discover import discover
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.study_files import load_case

HERE = Path(__file__).parent
OUTLINES_PER_PATIENT = 32
FIRST_PHANTOM_SEED = 1000


def main() -> None:
    """Train and leave `checkpoint.pt`, `average.pt`, `config.yaml` and `log.jsonl` in the run folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.yaml")
    parser.add_argument("--run", type=Path, default=Path("runs/default"))
    parser.add_argument("--from-bundle", action="store_true", help="start from the shipped weights, not random ones")
    arguments = parser.parse_args()
    root = os.environ.get("TDS_REAL_DATA")
    if root is None:
        sys.exit("set TDS_REAL_DATA to the folder that holds the training data; see docs/how-to")
    config = with_root(load_config(arguments.recipe), Path(root))
    arguments.run.mkdir(parents=True, exist_ok=True)
    if arguments.from_bundle:
        start_from_bundle(config, arguments.run)
    (arguments.run / "config.yaml").write_text(yaml.safe_dump(as_document(config), sort_keys=False))
    patients = [load_patient(p, config.data) for p in sorted(config.data.cases.iterdir()) if p.is_dir()]
    absent = set(config.data.validation) - {s.name for s in patients}
    if absent:
        sys.exit(f"no patient is called {', '.join(sorted(absent))}: a misspelt validation patient would be trained on")
    validation = tuple(s for s in patients if s.name in config.data.validation)
    training = tuple(s for s in patients if s.name not in config.data.validation)
    sources = Sources(
        patients=training,
        phantoms=tuple(make_phantoms(config.data)),
        cubes=read_cubes(config.data),
        outlines=tuple(make_outlines(config, training)),
    )
    log = (arguments.run / "log.jsonl").open("a", buffering=1)
    average = train(config, sources, validation, arguments.run, lambda p: tell(p, log))
    torch.save(average.state_dict(), arguments.run / "average.pt")


def start_from_bundle(config: TrainingConfig, run: Path) -> None:
    """Leave a checkpoint at step 0 that holds the shipped weights."""
    if (run / CHECKPOINT_NAME).exists():
        sys.exit(f"{run} already holds a checkpoint; leave out --from-bundle to go on from it, or name a new --run")
    network = read_network(load_bundle().folder, config.network).train()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=config.optimiser.weight_decay)
    save_checkpoint(run, network, network, optimiser, step=0)


def with_root(config: TrainingConfig, root: Path) -> TrainingConfig:
    """Return the configuration with its data paths below a root."""
    data = config.data
    placed = replace(
        data,
        cases=root / data.cases,
        lesion_cubes=None if data.lesion_cubes is None else root / data.lesion_cubes,
        tumour_shapes=None if data.tumour_shapes is None else root / data.tumour_shapes,
    )
    return replace(config, data=placed)


def load_patient(folder: Path, config: DataConfig) -> Sample:
    """Return one patient on the network's grid."""
    return make_sample(load_case(discover(folder)), preprocessing(config))


def make_phantoms(config: DataConfig) -> list[Sample]:
    """Return the synthetic patients of a run."""
    seeds = range(FIRST_PHANTOM_SEED, FIRST_PHANTOM_SEED + config.phantoms)
    spacing = config.spacing_mm
    made = (make_phantom(PhantomConfig(seed=s, spacing_mm=spacing, tumours=1 + s % 3)) for s in seeds)
    return [make_sample(case, preprocessing(config)) for case in made]


def read_cubes(config: DataConfig) -> tuple[Cube, ...]:
    """Return the lesion cubes of a run."""
    if config.lesion_cubes is None:
        return ()
    return load_cubes(config.lesion_cubes, config.exclude, config.spacing_mm)


def make_outlines(config: TrainingConfig, patients: tuple[Sample, ...]) -> list[Tensor]:
    """Return outlines of real tumours on each patient's grid, as shares of 255."""
    if config.data.tumour_shapes is None:
        return []
    shapes, spacing = load_shapes(config.data.tumour_shapes, config.data.exclude)
    rng = np.random.default_rng(config.seed)
    outlines = []
    for sample in patients:
        picked = rng.choice(len(shapes), OUTLINES_PER_PATIENT, replace=False)
        placed = [shape_regions(shapes[i], spacing, sample, config.data.spacing_mm) for i in picked]
        outlines.append((torch.stack(placed) * 255).round().to(torch.uint8))
    return outlines


def tell(progress: Progress, log: TextIO) -> None:
    """Print one line of progress and keep it."""
    line = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "step": progress.step,
        "loss": round(progress.loss, 4),
        "seconds_per_step": round(progress.seconds_per_step, 3),
        "dice_2mm": progress.dice,
    }
    print(json.dumps(line), file=log)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
