"""Train the default model: `python tools/default_bundle/train.py [--run RUN] [--recipe RECIPE]`.

Needs `tds-core[train]` and `tds-data[phantom]`, and TDS_REAL_DATA naming the folder that the recipe's paths start from.
A run that was stopped goes on where its last checkpoint was.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from tds_core import CoreError
from tds_core.bundle import DEFAULT_BUNDLE
from tds_core.training.config import to_document
from tds_core.training.distributed import World, choose_device
from tds_core.training.engine import (
    CHECKPOINT_FOLDER,
    BatchSize,
    CheckpointStore,
    Events,
    Progress,
    RunOutcome,
    RunParts,
    build_guards,
    fit,
)
from tds_core.training.guards import StopRequest
from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.config import DataConfig, MixtureConfig, load_config
from tds_core.training.mixture.samples import (
    Cube,
    Sample,
    load_cubes,
    load_shapes,
    make_sample,
    preprocessing,
    shape_regions,
)
from tds_core.training.mixture.source import MixtureSource
from tds_core.training.mixture.validation import WholeHeadValidator
from tds_core.training.run.learning import initial_network, supervised_learner
from tds_core.training.schedules import RateSchedule
from tds_core.training.tracking import SilentTracker
from tds_data.discover import discover
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.study_files import load_case

HERE = Path(__file__).parent
OUTLINES_PER_PATIENT = 32
FIRST_PHANTOM_SEED = 1000
GPU_WORKERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a run learns from and is measured on."""

    sources: Sources
    validation: tuple[Sample, ...]


def main() -> None:
    """Train and leave checkpoints, `config.yaml`, `metrics.jsonl`, `events.jsonl` and `log.jsonl` in the run folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=HERE / "recipe.yaml")
    parser.add_argument("--run", type=Path, default=Path("runs/default"))
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--from-bundle", action="store_true", help="start from the shipped weights, not random ones")
    begin.add_argument("--from-run", type=Path, help="start from the averaged weights of another run")
    arguments = parser.parse_args()
    root = os.environ.get("TDS_REAL_DATA")
    if root is None:
        sys.exit("set TDS_REAL_DATA to the folder that holds the training data; see docs/how-to")
    try:
        config = load_config(arguments.recipe)
        if arguments.from_bundle:
            config = replace(config, network=replace(config.network, weights=DEFAULT_BUNDLE))
        prepared = prepare(config, Path(root))
        arguments.run.mkdir(parents=True, exist_ok=True)
        (arguments.run / "config.yaml").write_text(yaml.safe_dump(to_document(config), sort_keys=False))
        outcome = train(config, prepared, arguments.run, averaged(arguments.from_run))
    except CoreError as error:
        sys.exit(str(error))
    print(f"{outcome.status} at step {outcome.step}: {outcome.reason}")


def prepare(config: MixtureConfig, root: Path) -> Prepared:
    """Return patients, phantoms, cubes and outlines of a run."""
    data = with_root(config.data, root)
    patients = [load_patient(p, data) for p in sorted(data.cases.iterdir()) if p.is_dir()]
    absent = set(data.validation) - {s.name for s in patients}
    if absent:
        sys.exit(f"no patient is called {', '.join(sorted(absent))}: a misspelt validation patient would be trained on")
    training = tuple(s for s in patients if s.name not in data.validation)
    sources = Sources(
        patients=training,
        phantoms=tuple(make_phantoms(data)),
        cubes=read_cubes(data),
        outlines=tuple(make_outlines(data, config.seed, training)),
    )
    return Prepared(sources=sources, validation=tuple(s for s in patients if s.name in data.validation))


def averaged(run: Path | None) -> dict[str, Tensor] | None:
    """Return the averaged weights of another run, if one is named."""
    if run is None:
        return None
    checkpoint = CheckpointStore(run / CHECKPOINT_FOLDER).latest()
    if checkpoint is None:
        sys.exit(f"there is no checkpoint in {run}; train it first")
    weights: dict[str, Tensor] = checkpoint.state["learner"]["average"]["network"]
    return weights


def train(
    config: MixtureConfig, prepared: Prepared, folder: Path, weights: dict[str, Tensor] | None = None
) -> RunOutcome:
    """Train until the end or until asked to stop."""
    training = config.training
    world = World(device=choose_device(config.device))
    network = initial_network(training, world)
    if weights is not None:
        network.load_state_dict(weights)
    tracker = SilentTracker()
    with StopRequest() as stop, (folder / "log.jsonl").open("a", buffering=1) as log:
        parts = RunParts(
            learner=supervised_learner(training, network, world),
            source=MixtureSource(prepared.sources, config.sampling, seed=config.seed, workers=workers(world)),
            validator=WholeHeadValidator(prepared.validation) if prepared.validation else None,
            schedule=RateSchedule(
                config.schedule,
                peak=config.optimiser.learning_rate,
                total_steps=config.length.epochs * config.sampling.steps_per_epoch,
            ),
            tracker=tracker,
            folder=folder,
            device=world.device,
            world=world,
            guards=build_guards(
                config.safety,
                BatchSize(batch=config.sampling.batch, micro_batch=config.sampling.batch),
                folder=folder,
                stop=stop,
                world=world,
                events=Events(tracker, folder),
            ),
            identity={"mixture": to_document(config), "begins_with": fingerprint(network)},
        )
        return fit(training, parts, report=lambda progress: tell(progress, log))


def fingerprint(network: nn.Module) -> float:
    """Return a number that differs between initial weights, so that a run cannot go on from others' checkpoints."""
    return float(sum(tensor.double().abs().sum() for tensor in network.state_dict().values()))


def workers(world: World) -> int:
    """Return how many processes draw patches."""
    return min(GPU_WORKERS, os.cpu_count() or 1) if world.device.type == "cuda" else 1


def with_root(data: DataConfig, root: Path) -> DataConfig:
    """Return the data's configuration with its paths below a root."""
    return replace(
        data,
        cases=root / data.cases,
        lesion_cubes=None if data.lesion_cubes is None else root / data.lesion_cubes,
        tumour_shapes=None if data.tumour_shapes is None else root / data.tumour_shapes,
    )


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


def make_outlines(config: DataConfig, seed: int, patients: tuple[Sample, ...]) -> list[Tensor]:
    """Return outlines of real tumours on each patient's grid, as shares of 255."""
    if config.tumour_shapes is None:
        return []
    shapes, spacing = load_shapes(config.tumour_shapes, config.exclude)
    rng = np.random.default_rng(seed)
    outlines = []
    for sample in patients:
        picked = rng.choice(len(shapes), OUTLINES_PER_PATIENT, replace=False)
        placed = [shape_regions(shapes[i], spacing, sample, config.spacing_mm) for i in picked]
        outlines.append((torch.stack(placed) * 255).round().to(torch.uint8))
    return outlines


def tell(progress: Progress, log: TextIO) -> None:
    """Print one line of progress and keep it."""
    validation = progress.validation
    line: dict[str, Any] = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "step": progress.step,
        "loss": round(progress.loss, 4),
        "steps_per_s": round(progress.steps_per_s, 3),
    }
    if validation is not None:
        line["dice_2mm"] = {case.case: dict(case.dice) for case in validation.cases}
    print(json.dumps(line), file=log)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
