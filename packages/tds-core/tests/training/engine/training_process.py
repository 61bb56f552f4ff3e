"""Training in processes of its own: `training_process.py FOLDER kill|share ARGUMENTS`.

This process imports everything once and forks the others, so that each is there at once.
"""

import hashlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tds_core.training.averaging import WeightAverage
from tds_core.training.config import (
    DataConfig,
    DatasetConfig,
    Device,
    LengthConfig,
    NetworkConfig,
    Precision,
    SafetyConfig,
    SamplingConfig,
    TrainingConfig,
)
from tds_core.training.distributed import World, join_world
from tds_core.training.engine import (
    Batch,
    BatchSize,
    CacheSource,
    CaseDice,
    Events,
    Overlay,
    RunParts,
    StepSettings,
    SupervisedLearner,
    ValidationResult,
    build_guards,
    fit,
)
from tds_core.training.guards import StopRequest
from tds_core.training.losses import build_loss
from tds_core.training.optimisers import build_optimiser
from tds_core.training.schedules import RateSchedule
from tds_data import PreprocessConfig, write_volume
from tds_data.cache import CacheConfig, build_cache, open_cache
from tds_data.datasets import CaseEntry, FileEntry, Manifest
from tds_data.loading import LoaderMeans, PatchConfig
from tds_data.testing import draw_brain

PATCH = (16, 16, 16)
BATCH = 3


class Network(nn.Module):
    """Small; with dropout a wrong seed shows."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(4, 8, 3, padding=1, bias=False), nn.InstanceNorm3d(8, affine=True), nn.ReLU(), nn.Dropout(dropout)
        )
        self.last = nn.Conv3d(8, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.layers(images))
        return out


class Sums:
    """Validates with a number that every weight has a part in."""

    def validate(self, network: nn.Module) -> ValidationResult:
        score = float(sum(weight.double().sum() for weight in network.state_dict().values()))
        case = CaseDice(case="sum", phantom=True, dice={"WT": score})
        return ValidationResult(cases=(case,), mean_dice={"WT": score}, score=score, seconds=0.0)


class Nobody:
    """A tracker that does not listen."""

    def metrics(self, step: int, values: object) -> None:
        """Hear numbers."""

    def overlays(self, step: int, pictures: tuple[Overlay, ...]) -> None:
        """Hear pictures."""

    def event(self, step: int, kind: str, values: object) -> None:
        """Hear events."""

    def artefact(self, path: Path, name: str) -> None:
        """Hear of files."""

    def finish(self, status: str) -> None:
        """Hear the end."""


@dataclass(frozen=True)
class Told:
    """A source that tells another process of each batch."""

    source: CacheSource
    tell: Callable[[bytes], object]

    @property
    def batches_per_epoch(self) -> int:
        return self.source.batches_per_epoch

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for batch in self.source.batches(epoch, start=start):
            self.tell(b"b")
            yield batch

    def close(self) -> None:
        self.source.close()


def make_cache(root: Path) -> None:
    """Leave a cache of drawn heads with a lesion each."""
    cases = []
    for seed in range(3):
        case = draw_brain(shape=(30, 37, 32), spacing_mm=6.0, seed=seed)
        assert case.reference is not None
        files: dict[str, FileEntry] = {}
        for name, volume in [*case.images.items(), ("seg", case.reference)]:
            path = root / "data" / f"{seed}-{name}.nii"
            path.parent.mkdir(exist_ok=True)
            write_volume(path, volume)
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            files[str(name)] = FileEntry(path=path.name, sha256=digest, size_bytes=len(content))
        mask = files.pop("seg")
        cases.append(CaseEntry(name=f"case-{seed}", patient=f"p{seed}", images=files, mask=mask, phantom=True))
    manifest = Manifest(layout="brats", cases=tuple(cases), scheme="brats-2023", root=root / "data")
    build_cache(manifest, root / "cache", CacheConfig(preprocess=PreprocessConfig(spacing_mm=6.0)))


def make_config(epochs: int, *, micro_batch: int, dropout: float, precision: Precision) -> TrainingConfig:
    return TrainingConfig(
        name="tiny",
        network=NetworkConfig(options={"dropout": dropout}),
        precision=precision,
        device=Device.CPU,
        data=DataConfig(datasets=(DatasetConfig(phantoms=3),)),
        sampling=SamplingConfig(patch=PATCH, batch=BATCH, micro_batch=micro_batch, steps_per_epoch=5),
        length=LengthConfig(epochs=epochs, validate_every=2),
        safety=SafetyConfig(checkpoint_every_steps=2, min_free_disk_bytes=0),
        seed=4,
    )


def train(folder: Path, cache: Path, config: TrainingConfig, world: World, tell: Callable[[bytes], object]) -> None:
    """Train to the end."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    network = Network(float(str(config.network.options["dropout"])))
    patches = PatchConfig(
        shape=PATCH, batch_size=BATCH, batches_per_epoch=config.sampling.steps_per_epoch, seed=config.seed
    )
    source = CacheSource(open_cache(cache), patches, LoaderMeans(workers=2), world)
    settings = StepSettings(precision=config.precision, clip_norm=config.optimiser.clip_norm, seed=config.seed)
    size = BatchSize(batch=BATCH, micro_batch=config.sampling.micro_batch)
    events = Events(Nobody(), folder if world.is_main else None)
    total = config.length.epochs * config.sampling.steps_per_epoch
    with StopRequest() as stop:
        parts = RunParts(
            learner=SupervisedLearner(
                network,
                build_loss(config.loss, config.goal, config.network.heads),
                build_optimiser(config.optimiser, network),
                average=WeightAverage(network, config.optimiser.average_decay),
                settings=settings,
                world=world,
            ),
            source=Told(source, tell),
            validator=Sums(),
            schedule=RateSchedule(config.schedule, peak=config.optimiser.learning_rate, total_steps=total),
            tracker=Nobody(),
            folder=folder,
            device=torch.device("cpu"),
            world=world,
            guards=build_guards(config.safety, size, folder=folder, stop=stop, world=world, events=events),
        )
        outcome = fit(config, parts, report=lambda _: None)
    source.close()
    if outcome.status != "finished":
        raise SystemExit(outcome.reason)


def forked(work: Callable[[], None]) -> int:
    """Return the number of a process that does something and ends."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def wait(pid: int) -> None:
    """Wait for a process that must end well."""
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit("a training process failed")


def kill_again_and_again(root: Path, kills: int) -> None:
    """Train once undisturbed and once killed time and again, in two folders."""
    make_cache(root)
    config = make_config(2 * kills // 5 + 4, micro_batch=2, dropout=0.1, precision=Precision.BF16)
    wait(forked(lambda: train(root / "straight", root / "cache", config, World(), lambda _: None)))
    rng = np.random.default_rng(0)
    for attempt in range(kills):
        reader, writer = os.pipe()

        def work(reader: int = reader, writer: int = writer) -> None:
            os.close(reader)
            real = os.fsync

            def fsync(fd: Any) -> None:
                os.write(writer, b"s")
                time.sleep(0.01)  # long enough to be hit
                real(fd)

            os.fsync = fsync
            train(root / "killed", root / "cache", config, World(), lambda said: os.write(writer, said))

        pid = forked(work)
        os.close(writer)
        # A third of them while a checkpoint or the metrics are being written, the others anywhere.
        mark, count = (b"s", int(rng.integers(1, 7))) if attempt % 3 == 0 else (b"b", int(rng.integers(1, 4)))
        while count:
            read = os.read(reader, 1)
            if not read:
                message = f"the run ended before kill {attempt + 1}"
                raise SystemExit(message)
            count -= read == mark
        time.sleep(float(rng.uniform(0, 0.03)))
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGKILL:
            raise SystemExit("the run was not killed")
        os.close(reader)
    wait(forked(lambda: train(root / "killed", root / "cache", config, World(), lambda _: None)))
    sys.stdout.write(json.dumps({"kills": kills, "steps": 5 * config.length.epochs}))


def share(root: Path) -> None:
    """Train the same with one process and with two."""
    make_cache(root)
    # Processes draw their own numbers in dropout, so that there is none here.
    config = make_config(2, micro_batch=2, dropout=0.0, precision=Precision.FP32)
    wait(forked(lambda: train(root / "one", root / "cache", config, World(), lambda _: None)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def work(rank: int) -> None:
        environment = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in environment.items()})
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        with join_world(Device.CPU) as world:
            train(root / "two", root / "cache", config, world, lambda _: None)

    for pid in [forked(lambda rank=rank: work(rank)) for rank in range(2)]:  # type: ignore[misc]  # bound early
        wait(pid)


if __name__ == "__main__":
    if sys.argv[2] == "kill":
        kill_again_and_again(Path(sys.argv[1]), int(sys.argv[3]))
    else:
        share(Path(sys.argv[1]))
