"""Searches from beginning to end, on problems whose answer is known."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tds_core.training.config import LengthConfig, OptimiserConfig, SafetyConfig, SamplingConfig, TrainingConfig
from tds_core.training.dints import (
    DintsSearchOptions,
    SearchLearner,
    decode,
    write_search_result,
)
from tds_core.training.dints.memory import found_memory, largest_memory, path_memory
from tds_core.training.distributed import Launch, World
from tds_core.training.engine import BatchSize, Events, RunParts, build_guards, fit
from tds_core.training.engine.protocols import Batch
from tds_core.training.guards import StopRequest
from tds_core.training.models import build_network
from tds_core.training.schedules import RateSchedule

from .conftest import SPACE, Loss, make_batch, make_config, make_learner, make_network, same

OPTIONS = DintsSearchOptions(**SPACE)


class Noise(nn.Module):
    """An operation that forgets its input."""

    ram_cost = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.randn_like(x)


def no_penalty(**changes: Any) -> dict[str, Any]:
    return {"warmup_share": 0.0, "memory_weight": 0.0, "entropy_weight": 0.0, "topology_weight": 0.0, **changes}


def test_the_search_turns_away_from_an_operation_that_does_not_pay() -> None:
    network = make_network(blocks=1)
    space = network.dints_space
    for cell in space.cell_tree.values():
        cell.op.ops[1] = Noise()
    config = make_config(no_penalty(learning_rate=0.05), length=LengthConfig(epochs=10))
    learner = SearchLearner(network, Loss(), config, world=World())
    before = torch.softmax(space.log_alpha_c.detach(), -1)[..., 1]
    torch.manual_seed(0)
    for number in range(40):
        learner.step(make_batch(number), micro_batch=4, rate=0.01)
    after = torch.softmax(space.log_alpha_c.detach(), -1)[..., 1]
    assert (after[0, :2] < 0.5 * before[0, :2]).all()  # the paths to the finest level, which the output looks at most
    found = decode(network, DintsSearchOptions(**{**SPACE, "blocks": 1}))
    assert "conv_3x3x3" not in {one.operation for one in found.blocks[0] if one.target == 0}


def search(memory: float) -> tuple[SearchLearner, float]:
    config = make_config(
        no_penalty(learning_rate=0.2, memory=memory, memory_weight=20.0), length=LengthConfig(epochs=8)
    )
    learner = make_learner(config)
    for number in range(32):
        learner.step(make_batch(number, 2, 4), micro_batch=2, rate=0.01)
    network: Any = learner.network
    costs = path_memory(network.dints_space)
    return learner, found_memory(costs, decode(network, OPTIONS)) / largest_memory(costs)


def test_the_memory_penalty_decides_what_is_found() -> None:
    small, little = search(0.05)
    large, much = search(0.9)
    assert little < 0.3
    assert much > 0.6
    assert decode(small.network, OPTIONS) != decode(large.network, OPTIONS)


def test_penalties_make_the_search_decide() -> None:
    config = make_config(no_penalty(learning_rate=0.2, entropy_weight=50.0), length=LengthConfig(epochs=8))
    learner = make_learner(config)
    values = [dict(learner.step(make_batch(n, 2, 4), micro_batch=2, rate=0.01).values) for n in range(32)]
    assert values[-1]["search/operations"] < 0.3 * values[0]["search/operations"]
    assert values[-1]["search/paths"] < 0.3 * values[0]["search/paths"]


def test_what_was_found_learns_a_patch_by_heart(tmp_path: Path) -> None:
    learner = make_learner()
    for number in range(8):
        learner.step(make_batch(number), micro_batch=4, rate=0.01)
    write_search_result(tmp_path, learner.network, OPTIONS)
    config = make_config().network
    torch.manual_seed(1)
    network = build_network(
        type(config)(name="dints", options={"architecture": str(tmp_path / "architecture.yaml")}),
        in_channels=2,
        out_channels=1,
        patch=(8, 8, 8),
    )
    batch, loss = make_batch(0, 1), Loss()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(80):
        optimiser.zero_grad()
        torch.autograd.backward(loss(network(batch.images), batch.target))
        optimiser.step()
    with torch.no_grad():
        hit = ((network(batch.images)[:, 0] > 0) == (batch.target > 0)).float().mean()
    assert hit > 0.95


class Killed(BaseException):
    """What no handler catches."""


class Source:
    """Batches by number, one of which may kill."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.batches_per_epoch, self.kill_at = 4, kill_at

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for number in range(start, self.batches_per_epoch):
            if 4 * epoch + number == self.kill_at:
                raise Killed
            yield make_batch(4 * epoch + number)

    def close(self) -> None:
        pass


class Deaf:
    """A tracker that keeps what it is told of the search."""

    def __init__(self) -> None:
        self.values: list[dict[str, float]] = []

    def metrics(self, step: int, values: Any) -> None:
        assert step > 0
        self.values.append(dict(values))

    def overlays(self, step: int, pictures: Any) -> None: ...
    def event(self, step: int, kind: str, values: Any) -> None: ...
    def artefact(self, path: Path, name: str) -> None: ...
    def finish(self, status: str) -> None: ...


def run(folder: Path, config: TrainingConfig, kill_at: int | None = None) -> tuple[SearchLearner, Deaf]:
    learner, tracker, world = make_learner(config), Deaf(), World()
    parts = RunParts(
        learner=learner,
        source=Source(kill_at),
        validator=None,
        schedule=RateSchedule(config.schedule, peak=0.01, total_steps=12),
        tracker=tracker,
        folder=folder,
        device=torch.device("cpu"),
        world=world,
        guards=build_guards(
            config.safety,
            BatchSize(batch=4, micro_batch=4),
            folder=folder,
            stop=StopRequest(),
            world=world,
            events=Events(tracker, folder),
        ),
    )
    outcome = fit(config, parts, report=lambda _: None)
    assert outcome.status == "finished"
    assert outcome.step == 12
    return learner, tracker


def test_a_search_that_was_killed_goes_on_to_the_same_end(tmp_path: Path) -> None:
    config = make_config(
        length=LengthConfig(epochs=3, validate_every=1),
        optimiser=OptimiserConfig(learning_rate=0.01, average_decay=0.9),
        safety=SafetyConfig(checkpoint_every_steps=5, min_free_disk_bytes=0),
        sampling=SamplingConfig(batch=4, micro_batch=4, steps_per_epoch=4),
    )
    whole, tracker = run(tmp_path / "whole", config)
    with pytest.raises(Killed):
        run(tmp_path / "killed", config, kill_at=8)
    again, _ = run(tmp_path / "killed", config)
    assert same(whole.state_dict(), again.state_dict())
    assert any("search/memory" in key for values in tracker.values for key in values)


class Thread(World):
    """One of several threads that talk as the processes of a run do."""

    def __init__(self, rank: int, table: list[Any], barrier: Barrier) -> None:
        super().__init__(Launch(rank=rank, size=len(table), local_rank=rank, local_size=len(table)))
        self._table, self._barrier = table, barrier

    def gather(self, value: Any) -> list[Any]:
        self._table[self.rank] = value
        self._barrier.wait(60)
        everything = list(self._table)
        self._barrier.wait(60)
        return everything

    def sum(self, values: Tensor) -> Tensor:
        return torch.stack(self.gather(values.detach().double())).sum(0)

    def reduce_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            given = [gradient for gradient in self.gather(parameter.grad) if gradient is not None]
            parameter.grad = torch.stack(given).sum(0) if given else None


@pytest.mark.parametrize("sizes", [(3, 3), (4, 1)])
def test_two_processes_search_as_one(sizes: tuple[int, int]) -> None:
    config = make_config({"warmup_share": 0.0, "memory_weight": 5.0})
    table: list[Any] = [None, None]
    barrier = Barrier(2)
    whole = sum(sizes)

    def search_with(rank: int) -> tuple[dict[str, Any], float]:
        learner = SearchLearner(networks[rank], Loss(), config, world=Thread(rank, table, barrier))
        start = sum(sizes[:rank])
        for number in range(3):
            batch = make_batch(number, whole)
            mine = slice(start, start + sizes[rank])
            part = Batch(images=batch.images[mine], target=batch.target[mine])
            result = learner.step(part, micro_batch=2, rate=0.01)
        return learner.state_dict(), result.loss

    networks = [make_network(), make_network()]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(search_with, range(2))
    assert same(first, second)
    alone = make_learner(config)
    for number in range(3):
        result = alone.step(make_batch(number, whole), micro_batch=2, rate=0.01)
    assert first[1] == pytest.approx(result.loss, rel=1e-4)
    for name in ("dints_space.log_alpha_a", "dints_space.log_alpha_c"):
        torch.testing.assert_close(first[0]["network"][name], alone.state_dict()["network"][name], rtol=1e-3, atol=1e-3)
