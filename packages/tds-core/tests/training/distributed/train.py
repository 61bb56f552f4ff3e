"""Run under torchrun: `train.py CONFIG FOLDER EPOCHS ...`, one run after the other.

`killEPOCHS` kills the second process in the fifth step of the run.
"""

import os
import signal
import sys
from pathlib import Path

import torch
import yaml

from tds_core.training.config import TrainingConfig, apply_overrides, parse
from tds_core.training.distributed import World, join_world
from tds_core.training.engine import Progress, SupervisedLearner
from tds_core.training.run import Listeners, run_training


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    document = yaml.safe_load(Path(arguments[0]).read_text(encoding="utf-8"))
    with join_world(timeout_s=120) as world:
        for folder, epochs in zip(arguments[1::2], arguments[2::2], strict=False):
            dies = epochs.startswith("kill")
            settings = [f"length.epochs={epochs.removeprefix('kill')}"]
            config = parse(TrainingConfig, apply_overrides(document, settings))
            if dies:
                _die_in_step(5, world)
            run_training(config, Path(folder), Listeners(report=_tell), world=world)


def _tell(progress: Progress) -> None:
    sys.stdout.write(f"{progress.step} {progress.loss}\n")


def _die_in_step(number: int, world: World) -> None:
    step, done = SupervisedLearner.step, []

    def dying(*args: object, **kwargs: object) -> object:
        done.append(1)
        if len(done) == number and world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **kwargs)  # type: ignore[arg-type]  # passed on

    SupervisedLearner.step = dying  # type: ignore[method-assign,assignment]  # in this process only


if __name__ == "__main__":
    main(sys.argv[1:])
