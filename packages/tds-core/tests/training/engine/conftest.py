from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tds_core.training.averaging import WeightAverage
from tds_core.training.config import (
    DataConfig,
    DatasetConfig,
    LengthConfig,
    OptimiserConfig,
    Precision,
    SafetyConfig,
    SamplingConfig,
    ScheduleConfig,
    TrainingConfig,
)
from tds_core.training.distributed import World
from tds_core.training.engine import (
    Batch,
    BatchSize,
    CaseDice,
    Events,
    Overlay,
    Progress,
    RunOutcome,
    RunParts,
    StepSettings,
    SupervisedLearner,
    ValidationResult,
    build_guards,
    fit,
)
from tds_core.training.guards import StopRequest
from tds_core.training.optimisers import build_optimiser
from tds_core.training.schedules import RateSchedule

STEPS = 4
BATCH = 4


class Loss(nn.Module):
    """Cross-entropy of one channel."""

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], target.float())


class Source:
    """Batches by number; `asked` lists those that were asked for."""

    def __init__(self, steps: int = STEPS, batch: int = BATCH) -> None:
        self.batches_per_epoch = steps
        self.batch = batch
        self.asked: list[tuple[int, int]] = []
        self.spoilt: set[tuple[int, int]] = set()
        self.on_batch: Callable[[int, int], None] = lambda _epoch, _number: None
        self.closed = False

    def make(self, epoch: int, number: int) -> Batch:
        generator = torch.Generator().manual_seed(1000 * epoch + number)
        images = torch.randn(self.batch, 2, 8, 8, 8, generator=generator)
        target = (images.sum(1) > 0).to(torch.uint8)
        if (epoch, number) in self.spoilt:
            images[0, 0, 0, 0, 0] = torch.nan
        return Batch(images=images, target=target, cases=tuple(f"case-{number}-{row}" for row in range(self.batch)))

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for number in range(start, self.batches_per_epoch):
            self.asked.append((epoch, number))
            self.on_batch(epoch, number)
            yield self.make(epoch, number)

    def close(self) -> None:
        self.closed = True


class Scores:
    """A validator that gives out a list of scores, then a function of the weights."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)
        self.calls = 0
        self.on_call: Callable[[], None] = lambda: None

    def validate(self, network: nn.Module) -> ValidationResult:
        self.calls += 1
        self.on_call()
        with torch.no_grad():
            network(torch.zeros(1, 2, 8, 8, 8))
            found = float(sum(weight.double().sum() for weight in network.parameters()))
        score = self.scores.pop(0) if self.scores else found
        cases = (CaseDice(case="one", phantom=True, dice={"WT": score}),)
        pixels = torch.zeros(2, 2, 3, dtype=torch.uint8).numpy()
        overlays = (Overlay(name="one-axial", pixels=pixels),)
        return ValidationResult(cases=cases, mean_dice={"WT": score}, score=score, seconds=0.1, overlays=overlays)


@dataclass
class Heard:
    """A tracker that remembers."""

    numbers: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)
    events: list[tuple[int, str, dict[str, object]]] = field(default_factory=list)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.numbers.append((step, dict(values)))

    def overlays(self, step: int, pictures: tuple[Overlay, ...]) -> None:
        assert pictures
        self.pictures.append(step)

    def event(self, step: int, kind: str, values: Mapping[str, object]) -> None:
        self.events.append((step, kind, dict(values)))

    def artefact(self, path: Path, name: str) -> None:
        raise NotImplementedError

    def finish(self, status: str) -> None:
        raise NotImplementedError

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.events]


class Twist(nn.Module):
    """Two convolutions with dropout between."""

    def __init__(self, width: int = 4, dropout: float = 0.2) -> None:
        super().__init__()
        self.first = nn.Conv3d(2, width, 3, padding=1)
        self.drop = nn.Dropout(dropout)
        self.last = nn.Conv3d(width, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.last(self.drop(torch.relu(self.first(images))))
        return out


def make_config(**sections: Any) -> TrainingConfig:
    config = TrainingConfig(
        name="tiny",
        data=DataConfig(datasets=(DatasetConfig(phantoms=1),)),
        sampling=SamplingConfig(batch=BATCH, micro_batch=BATCH, steps_per_epoch=STEPS),
        optimiser=OptimiserConfig(learning_rate=0.01, average_decay=0.9),
        schedule=ScheduleConfig(warmup_steps=2),
        length=LengthConfig(epochs=3, validate_every=1),
        safety=SafetyConfig(checkpoint_every_steps=3, min_free_disk_bytes=0),
        precision=Precision.FP32,
        seed=5,
    )
    return replace(config, **sections)


def make_learner(config: TrainingConfig, network: nn.Module | None = None) -> SupervisedLearner:
    if network is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = Twist()
    settings = StepSettings(precision=config.precision, clip_norm=config.optimiser.clip_norm, seed=config.seed)
    average = WeightAverage(network, config.optimiser.average_decay)
    optimiser = build_optimiser(config.optimiser, network)
    return SupervisedLearner(network, Loss(), optimiser, average=average, settings=settings, world=World())


class Run:
    """A run in a folder, as a new process would make it."""

    def __init__(self, folder: Path, config: TrainingConfig | None = None) -> None:
        self.config = config or make_config()
        self.folder = folder
        self.source = Source()
        self.scores: Scores | None = Scores()
        self.heard = Heard()
        self.stop = StopRequest()
        self.learner: Any = make_learner(self.config)
        self.reports: list[Progress] = []
        world = World()
        self.schedule = RateSchedule(
            self.config.schedule,
            peak=self.config.optimiser.learning_rate,
            total_steps=self.config.length.epochs * self.source.batches_per_epoch,
        )
        self.guards = build_guards(
            self.config.safety,
            BatchSize(batch=BATCH, micro_batch=1),
            folder=folder,
            stop=self.stop,
            world=world,
            events=Events(self.heard, folder),
        )

    def fit(self) -> RunOutcome:
        parts = RunParts(
            learner=self.learner,
            source=self.source,
            validator=self.scores,
            schedule=self.schedule,
            tracker=self.heard,
            folder=self.folder,
            device=torch.device("cpu"),
            world=World(),
            guards=self.guards,
        )
        return fit(self.config, parts, report=self.reports.append)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run")


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Run]:
    def make(name: str = "run", config: TrainingConfig | None = None) -> Run:
        return Run(tmp_path / name, config)

    return make


@pytest.fixture
def config_of() -> Callable[..., TrainingConfig]:
    return make_config


@pytest.fixture
def learner_of() -> Callable[..., SupervisedLearner]:
    return make_learner


@pytest.fixture
def network_of() -> Callable[..., nn.Module]:
    def make(width: int = 4, dropout: float = 0.0, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Twist(width, dropout)

    return make


@pytest.fixture
def batch() -> Batch:
    return Source(batch=5).make(0, 0)


@pytest.fixture
def same() -> Callable[[object, object], bool]:
    """Whether two states are equal to the last bit."""

    def equal(one: object, two: object) -> bool:
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            return one.dtype == two.dtype and torch.equal(one, two)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            return list(one) == list(two) and all(equal(one[key], two[key]) for key in one)
        if isinstance(one, list | tuple) and isinstance(two, list | tuple):
            return len(one) == len(two) and all(map(equal, one, two))
        return type(one) is type(two) and one == two

    return equal
