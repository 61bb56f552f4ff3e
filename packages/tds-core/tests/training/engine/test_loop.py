import errno
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tds_core.errors import (
    CheckpointDamaged,
    CheckpointMismatch,
    DiskFull,
    LossNotFinite,
    TrainingError,
    TrainingOutOfMemory,
)
from tds_core.training.config import LengthConfig, OptimiserConfig, SafetyConfig, TrainingConfig
from tds_core.training.engine import (
    Batch,
    CheckpointStore,
    RunOutcome,
    StepResult,
    SupervisedLearner,
    load_best,
    read_checkpoint,
)

NewRun = Callable[..., Any]
Same = Callable[[object, object], bool]


class Killed(BaseException):
    """Stands for a process that is gone."""


def newest(run: Any) -> dict[str, Any]:
    """Return the newest checkpoint, without what was measured of the machine's memory."""
    checkpoint = CheckpointStore(run.folder / "checkpoints").latest()
    assert checkpoint is not None
    measured = {"known_bytes", "known_size"}
    batch = {key: value for key, value in checkpoint.state["batch"].items() if key not in measured}
    return {**checkpoint.state, "batch": batch}


def records(run: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def kill_at(run: Any, count: int) -> None:
    """End a run before it gets a batch, as if it had been killed then: nothing is written any more."""

    def on_batch(_epoch: int, _number: int) -> None:
        if len(run.source.asked) == count:
            raise Killed

    run.source.on_batch = on_batch


def fit_killed(run: Any) -> None:
    run_close = "tds_core.training.engine.saving.Keeper.close"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_close, lambda _: None)
        with pytest.raises(Killed):
            run.fit()


def test_run_makes_every_step_validates_saves_and_says_how_it_ended(run: Any) -> None:
    outcome = run.fit()
    assert outcome == RunOutcome(
        status="finished",
        step=12,
        best_score=outcome.best_score,
        best_step=outcome.best_step,
        reason="all 12 steps are done",
    )
    assert run.source.asked == [(epoch, number) for epoch in range(3) for number in range(4)]
    assert run.scores.calls == 3
    steps = [record["step"] for record in records(run) if "loss" in record]
    assert steps == list(range(1, 13))
    assert [record["step"] for record in records(run) if "score" in record] == [4, 8, 12]
    assert run.heard.pictures == [4, 8, 12]
    assert not run.source.closed


def test_metrics_hold_what_happened_and_nothing_of_the_clock(run: Any) -> None:
    outcome = run.fit()
    first, *_ = records(run)
    assert set(first) == {"step", "loss", "rate", "gradient_norm"}
    assert first["rate"] == pytest.approx(0.005)
    losses = [record["loss"] for record in records(run) if "loss" in record]
    epochs = [record for record in records(run) if "epoch_loss" in record]
    assert epochs[1] == {"step": 8, "epoch": 1, "epoch_loss": pytest.approx(sum(losses[4:8]) / 4)}
    validations = [record for record in records(run) if "score" in record]
    assert validations[0]["cases"] == [{"case": "one", "phantom": True, "dice": validations[0]["dice"]}]
    assert max(record["score"] for record in validations) == outcome.best_score


def test_tracker_hears_means_rates_speed_and_scores(run: Any) -> None:
    run.fit()
    numbers = dict(run.heard.numbers)
    losses = [record["loss"] for record in records(run) if "loss" in record]
    tenth = next(values for step, values in run.heard.numbers if step == 10)
    assert tenth["train/loss"] == pytest.approx(sum(losses[:10]) / 10)
    assert tenth["speed/steps_per_s"] > 0
    assert set(tenth) >= {"train/rate", "train/gradient_norm", "memory/micro_batch"}
    assert set(numbers[12]) == {"validation/dice/WT", "validation/score", "validation/seconds"}
    assert any("train/epoch_loss" in values for step, values in run.heard.numbers if step == 4)


def test_long_run_tells_the_tracker_about_memory(new_run: NewRun, config_of: Callable[..., TrainingConfig]) -> None:
    run = new_run(config=config_of(length=LengthConfig(epochs=25, validate_every=25)))
    run.fit()
    hundredth = next(values for step, values in run.heard.numbers if step == 100)
    assert hundredth["memory/ram_bytes"] > 0


def test_progress_tells_where_the_run_is(run: Any) -> None:
    run.fit()
    last = run.reports[-1]
    assert (last.step, last.total_steps, last.epoch, last.micro_batch, last.eta_s) == (12, 12, 2, 1, 0.0)
    assert math.isfinite(last.loss)
    assert last.steps_per_s > 0
    assert last.rss_bytes is None or last.rss_bytes > 0
    assert last.vram_bytes is None
    assert [report.step for report in run.reports if report.validation] == [4, 8, 12]


def test_validation_keeps_to_its_rhythm_and_comes_after_the_last_step(
    new_run: NewRun, config_of: Callable[..., TrainingConfig]
) -> None:
    run = new_run(config=config_of(length=LengthConfig(epochs=5, validate_every=2)))
    run.fit()
    assert [record["step"] for record in records(run) if "score" in record] == [8, 16, 20]


def test_run_without_validation_has_no_best(run: Any) -> None:
    run.scores = None
    outcome = run.fit()
    assert (outcome.status, outcome.best_score, outcome.best_step) == ("finished", None, None)
    assert load_best(run.folder, run.learner) == 12


@pytest.mark.parametrize("killed_at", [1, 2, 4, 5, 7, 10, 12])
def test_killed_run_ends_where_the_undisturbed_one_does_bit_for_bit(
    new_run: NewRun, same: Same, killed_at: int
) -> None:
    straight, killed = new_run("straight"), new_run("killed")
    expected = straight.fit()
    kill_at(killed, killed_at)
    fit_killed(killed)
    resumed = new_run("killed")
    assert resumed.fit() == expected
    assert same(newest(resumed), newest(straight))
    assert same(resumed.learner.state_dict(), straight.learner.state_dict())
    assert (resumed.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()
    assert resumed.heard.kinds() == ["resumed"]


def test_run_killed_again_and_again_ends_where_the_undisturbed_one_does(new_run: NewRun, same: Same) -> None:
    straight = new_run("straight")
    straight.fit()
    for _ in range(3):
        run = new_run("killed")
        kill_at(run, 4)
        fit_killed(run)
    last = new_run("killed")
    last.fit()
    assert same(newest(last), newest(straight))


@pytest.mark.parametrize("at", ["validation", "fsync", "rename"])
def test_run_killed_while_it_validates_or_saves_ends_where_the_undisturbed_one_does(
    new_run: NewRun, same: Same, at: str
) -> None:
    straight, run = new_run("straight"), new_run("killed")
    straight.fit()
    calls = {"left": {"validation": 2, "fsync": 11, "rename": 4}[at]}

    def die(*_: object) -> None:
        calls["left"] -= 1
        if not calls["left"]:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        if at == "validation":
            run.scores.on_call = die
        elif at == "fsync":
            patch.setattr(os, "fsync", die)
        else:
            real = Path.replace

            def replace_unless_dead(path: Path, target: Path) -> Path:
                die()
                return real(path, target)

            patch.setattr(Path, "replace", replace_unless_dead)
            patch.setattr(Path, "unlink", lambda *_, **__: None)
        fit_killed(run)
    resumed = new_run("killed")
    resumed.fit()
    assert same(newest(resumed), newest(straight))
    assert (resumed.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()


def test_two_runs_of_one_seed_are_identical_and_three_seeds_differ(
    new_run: NewRun, config_of: Callable[..., TrainingConfig], same: Same
) -> None:
    def weights(name: str, seed: int) -> Mapping[str, Any]:
        run = new_run(name, config_of(seed=seed))
        run.fit()
        state: Mapping[str, Any] = run.learner.network.state_dict()
        return state

    a, again, b, c = weights("a", 1), weights("again", 1), weights("b", 2), weights("c", 3)
    assert same(a, again)
    assert not same(a, b)
    assert not same(b, c)
    assert not same(a, c)


def test_finished_run_has_nothing_left_to_do(new_run: NewRun) -> None:
    first = new_run().fit()
    again = new_run()
    before = sorted((again.folder / "checkpoints").iterdir())
    assert again.fit() == first
    assert again.source.asked == []
    assert sorted((again.folder / "checkpoints").iterdir()) == before


def test_finished_run_goes_on_when_it_is_made_longer(new_run: NewRun, config_of: Callable[..., TrainingConfig]) -> None:
    new_run().fit()
    longer = new_run(config=config_of(length=LengthConfig(epochs=4, validate_every=1)))
    assert longer.fit().step == 16
    assert longer.source.asked == [(3, number) for number in range(4)]
    assert longer.heard.events[0][2] == {"changed": ["length.epochs"]}


def test_early_stop_keeps_the_best(new_run: NewRun, config_of: Callable[..., TrainingConfig]) -> None:
    length = LengthConfig(epochs=9, validate_every=1, patience=2)
    run = new_run(config=config_of(length=length))
    run.scores.scores = [0.3, 0.5, 0.4, 0.4, 0.9]
    outcome = run.fit()
    assert outcome == RunOutcome(
        status="early",
        step=16,
        best_score=0.5,
        best_step=8,
        reason="2 validations in a row brought no progress",
    )
    assert CheckpointStore(run.folder / "checkpoints").steps == (8, 15, 16)
    again = new_run(config=config_of(length=length))
    assert again.fit() == outcome
    assert again.source.asked == []
    patient = new_run(config=config_of(length=replace(length, patience=4)))
    patient.scores.scores = [0.45, 0.6, 0.1, 0.1, 0.1]
    assert patient.fit().best_step == 24


def test_best_weights_are_those_of_the_best_validation(new_run: NewRun, same: Same) -> None:
    run = new_run()
    run.scores.scores = [0.1, 0.9, 0.2]
    weights: list[dict[str, Any]] = []
    run.scores.on_call = lambda: weights.append(
        {name: tensor.clone() for name, tensor in run.learner.evaluated.state_dict().items()}
    )
    run.fit()
    other = new_run()
    assert load_best(run.folder, other.learner) == 8
    assert same(dict(other.learner.evaluated.state_dict()), weights[1])


def test_folder_without_checkpoints_has_no_best(run: Any) -> None:
    with pytest.raises(CheckpointDamaged, match="train first"):
        load_best(run.folder, run.learner)


def test_schedule_hears_the_scores(run: Any) -> None:
    heard: list[float] = []
    run.schedule.observe = heard.append
    run.scores.scores = [0.1, 0.9, 0.2]
    run.fit()
    assert heard == [0.1, 0.9, 0.2]


def test_wish_to_stop_saves_and_the_resumed_run_makes_no_step_twice(new_run: NewRun, same: Same) -> None:
    straight, run = new_run("straight"), new_run("run")
    straight.fit()
    run.source.on_batch = lambda epoch, number: run.stop.request("SIGTERM") if (epoch, number) == (1, 0) else None
    outcome = run.fit()
    assert (outcome.status, outcome.step, outcome.reason) == ("stopped", 5, "SIGTERM")
    resumed = new_run("run")
    resumed.fit()
    assert resumed.source.asked[0] == (1, 1)
    assert same(newest(resumed), newest(straight))
    assert (resumed.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()


def test_wish_to_stop_interrupts_a_validation_which_is_made_when_the_run_goes_on(new_run: NewRun, same: Same) -> None:
    straight, run = new_run("straight"), new_run("run")
    straight.fit()
    run.scores.on_call = lambda: run.stop.request("SIGTERM")
    outcome = run.fit()
    assert (outcome.status, outcome.step, outcome.best_score) == ("stopped", 4, None)
    assert newest(run)["run"]["validated_step"] == 0
    resumed = new_run("run")
    resumed.fit()
    assert resumed.scores.calls == 3
    assert resumed.source.asked[0] == (1, 0)
    assert same(newest(resumed), newest(straight))
    assert (resumed.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()


def test_wish_to_stop_during_the_last_step_changes_nothing(run: Any) -> None:
    run.source.on_batch = lambda epoch, number: run.stop.request("SIGTERM") if (epoch, number) == (2, 3) else None
    run.scores = None
    assert run.fit().status == "finished"


def test_validation_leaves_no_hook_behind(run: Any) -> None:
    run.fit()
    assert not run.learner.evaluated._forward_pre_hooks


def test_spoilt_batch_sends_the_run_back_with_a_lower_rate_and_is_then_left_out(run: Any) -> None:
    run.source.spoilt = {(1, 1)}
    outcome = run.fit()
    assert outcome.status == "finished"
    assert run.heard.kinds() == ["rolled_back", "batch_left_out"]
    assert run.schedule.state_dict()["scale"] == 0.5
    expected = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 0), (1, 1), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert run.source.asked[:12] == expected
    steps = [record["step"] for record in records(run) if "loss" in record]
    assert steps == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
    assert {"step": 6, "left_out": True} in records(run)
    assert all(math.isfinite(record["loss"]) for record in records(run) if "loss" in record)
    assert all(torch.isfinite(weight).all() for weight in run.learner.network.parameters())


@pytest.mark.parametrize("killed_at", [5, 7, 8, 9, 10, 11])
def test_run_that_went_back_resumes_exactly_too(new_run: NewRun, same: Same, killed_at: int) -> None:
    straight, run, resumed = new_run("straight"), new_run("killed"), new_run("killed")
    for each in (straight, run, resumed):
        each.source.spoilt = {(1, 1)}
    straight.fit()
    kill_at(run, killed_at)
    fit_killed(run)
    resumed.fit()
    assert same(newest(resumed), newest(straight))
    assert (resumed.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()


def test_loss_that_is_never_finite_ends_the_run_with_a_reason_and_keeps_the_last_good_state(
    new_run: NewRun, config_of: Callable[..., TrainingConfig]
) -> None:
    config = config_of()
    run = new_run(config=replace(config, safety=replace(config.safety, nan_retries=1)))
    run.source.spoilt = {(1, 1)}
    with pytest.raises(LossNotFinite, match=r"the loss of step 6 is nan.*patches are from case-1-0, case-1-1"):
        run.fit()
    state = newest(run)
    assert state["run"]["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in state["learner"]["network"].values())
    assert [record["step"] for record in records(run) if "loss" in record] == [1, 2, 3, 4, 5]


def test_run_whose_checkpoints_vanish_says_so_when_it_must_go_back(run: Any) -> None:
    run.source.spoilt = {(0, 1)}

    def remove(_epoch: int, number: int) -> None:
        if number == 1:
            for path in (run.folder / "checkpoints").glob("*.pt"):
                path.unlink()

    run.source.on_batch = remove
    with pytest.raises(CheckpointDamaged, match="gone while it runs"):
        run.fit()


class Hungry(nn.Module):
    """Runs out of memory with more than one patch."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network, self.most = network, most

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training and len(images) > self.most:
            message = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"
            raise RuntimeError(message)
        out: torch.Tensor = self.network(images)
        return out


@pytest.fixture
def hungry(
    learner_of: Callable[..., SupervisedLearner],
    config_of: Callable[..., TrainingConfig],
    network_of: Callable[..., nn.Module],
) -> Callable[[int], SupervisedLearner]:
    return lambda most: learner_of(config_of(), Hungry(network_of(), most))


def test_step_that_does_not_fit_is_made_of_smaller_pieces_with_the_same_result(
    new_run: NewRun, hungry: Callable[[int], SupervisedLearner]
) -> None:
    roomy, tight = new_run("roomy"), new_run("tight")
    roomy.learner, tight.learner = hungry(4), hungry(1)
    for run in (roomy, tight):
        run.guards.batch.size = 4
        assert run.fit().status == "finished"
    assert tight.heard.kinds() == ["micro_batch_halved", "micro_batch_halved"]
    assert roomy.heard.kinds() == []
    assert tight.reports[-1].micro_batch == 1
    pairs = zip(roomy.learner.network.parameters(), tight.learner.network.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_smaller_micro_batch_is_kept_by_the_resumed_run(
    new_run: NewRun, hungry: Callable[[int], SupervisedLearner]
) -> None:
    run, resumed = new_run(), new_run()
    run.learner, resumed.learner = hungry(2), hungry(2)
    run.guards.batch.size = 4
    kill_at(run, 6)
    fit_killed(run)
    resumed.fit()
    assert resumed.reports[-1].micro_batch == 2
    assert resumed.heard.kinds() == ["resumed"]


def test_run_ends_when_not_even_one_patch_fits(run: Any, hungry: Callable[[int], SupervisedLearner]) -> None:
    run.learner = hungry(0)
    with pytest.raises(TrainingOutOfMemory, match="not even one patch"):
        run.fit()


def test_run_goes_back_when_memory_runs_out_while_weights_are_being_changed(
    new_run: NewRun, hungry: Callable[[int], SupervisedLearner], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, torn = new_run("straight"), new_run("torn")
    straight.learner, torn.learner = hungry(4), hungry(4)
    optimiser = torn.learner._optimiser
    move, calls = optimiser.step, []

    def run_out_half_way(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) != 7:
            return move(*arguments, **options)
        with torch.no_grad():
            next(iter(torn.learner.network.parameters())).add_(99)
        message = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"
        raise RuntimeError(message)

    monkeypatch.setattr(optimiser, "step", run_out_half_way)
    for run in (straight, torn):
        run.guards.batch.size = 4
        assert run.fit().status == "finished"
    assert torn.heard.kinds() == ["micro_batch_halved"]
    assert len(calls) > 12
    pairs = zip(straight.learner.network.parameters(), torn.learner.network.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_other_errors_of_a_step_end_the_run(run: Any) -> None:
    def broken(*_: object, **__: object) -> StepResult:
        message = "something else"
        raise RuntimeError(message)

    run.learner.step = broken
    with pytest.raises(RuntimeError, match="something else"):
        run.fit()


def test_skipped_step_is_noted_and_counts_for_no_mean(run: Any) -> None:
    real = run.learner.step
    made: list[int] = []

    def step(batch: Batch, *, micro_batch: int, rate: float) -> StepResult:
        result: StepResult = real(batch, micro_batch=micro_batch, rate=rate)
        made.append(1)
        return replace(result, skipped=True, gradient_norm=math.inf) if len(made) == 2 else result

    run.learner.step = step
    run.fit()
    assert {"step": 2, "skipped": True} in records(run)
    losses = [record["loss"] for record in records(run) if "loss" in record][:3]
    first = next(record for record in records(run) if "epoch_loss" in record)
    assert first["epoch_loss"] == pytest.approx(sum(losses) / 3)


def full_disk(error: int = errno.ENOSPC) -> Callable[[object], None]:
    def fsync(_: object) -> None:
        raise OSError(error, os.strerror(error))

    return fsync


def test_full_disk_is_waited_for(new_run: NewRun, config_of: Callable[..., TrainingConfig], same: Same) -> None:
    straight = new_run("straight")
    straight.fit()
    safety = SafetyConfig(checkpoint_every_steps=3, min_free_disk_bytes=0, disk_pause_s=0.01)
    run = new_run("run", config_of(safety=safety))
    real = os.fsync
    calls: list[int] = []

    def fsync(descriptor: int) -> None:
        calls.append(1)
        if 5 < len(calls) < 9:
            full_disk()(descriptor)
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert run.fit().status == "finished"
    assert run.heard.kinds() == ["disk_full", "disk_free"]
    assert same(run.learner.state_dict(), straight.learner.state_dict())
    assert (run.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()


def test_disk_that_stays_full_ends_the_run_with_what_was_saved(
    new_run: NewRun, config_of: Callable[..., TrainingConfig]
) -> None:
    safety = SafetyConfig(checkpoint_every_steps=3, min_free_disk_bytes=0, disk_pause_s=0.01, disk_patience_s=0.05)
    run = new_run(config=config_of(safety=safety))

    def fill(epoch: int, number: int) -> None:
        if (epoch, number) == (1, 0):
            patch.setattr(os, "fsync", full_disk())

    run.source.on_batch = fill
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DiskFull, match="--resume"):
        run.fit()
    assert newest(run)["run"]["step"] == 4


@pytest.mark.parametrize("at", [(0, 0), (1, 0)])
def test_stop_while_the_disk_is_full_says_where_the_run_will_go_on(
    new_run: NewRun, config_of: Callable[..., TrainingConfig], at: tuple[int, int]
) -> None:
    safety = SafetyConfig(checkpoint_every_steps=3, min_free_disk_bytes=0, disk_pause_s=0.01)
    run = new_run(config=config_of(safety=safety))

    def fill(epoch: int, number: int) -> None:
        if (epoch, number) == at:
            patch.setattr(os, "fsync", full_disk())
            run.stop.request("SIGTERM")

    run.source.on_batch = fill
    with pytest.MonkeyPatch.context() as patch:
        outcome = run.fit()
    assert outcome.status == "stopped"
    assert outcome.reason == f"SIGTERM; the disk was full, so the run will go on from step {4 * at[0]}"


def test_stop_while_the_disk_is_full_at_a_checkpoint(new_run: NewRun, config_of: Callable[..., TrainingConfig]) -> None:
    safety = SafetyConfig(checkpoint_every_steps=3, min_free_disk_bytes=0, disk_pause_s=0.01)
    run = new_run(config=config_of(safety=safety))
    sleep = run.guards.disk._machine.sleep

    def asked(seconds: float) -> None:
        run.stop.request("SIGTERM")
        sleep(seconds)

    run.guards.disk._machine = replace(run.guards.disk._machine, sleep=asked)

    def fill(_epoch: int, number: int) -> None:
        if number == 2:
            patch.setattr(os, "fsync", full_disk())

    run.source.on_batch = fill
    with pytest.MonkeyPatch.context() as patch:
        outcome = run.fit()
    assert (outcome.status, outcome.step) == ("stopped", 3)
    assert outcome.reason.endswith("go on from step 0")


def test_stop_before_the_first_checkpoint_fits_on_the_disk(
    new_run: NewRun, config_of: Callable[..., TrainingConfig]
) -> None:
    safety = SafetyConfig(min_free_disk_bytes=0, disk_pause_s=0.01)
    run = new_run(config=config_of(safety=safety))
    run.stop.request("SIGTERM")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full_disk())
        outcome = run.fit()
    assert (outcome.status, outcome.step) == ("stopped", 0)
    assert run.source.asked == []


def test_disk_that_cannot_be_written_for_another_reason_ends_the_run(run: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full_disk(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            run.fit()


def test_torn_newest_checkpoint_costs_only_the_steps_since_the_one_before(new_run: NewRun, same: Same) -> None:
    straight, run, resumed = new_run("straight"), new_run("run"), new_run("run")
    straight.fit()
    kill_at(run, 12)
    fit_killed(run)
    newest_path = max((run.folder / "checkpoints").glob("*.pt"))
    newest_path.write_bytes(newest_path.read_bytes()[:-100])
    resumed.fit()
    assert resumed.heard.kinds() == ["checkpoints_passed_over", "resumed"]
    assert resumed.heard.events[0][2] == {"damaged": [newest_path.name]}
    assert resumed.source.asked[0] == (2, 0)
    assert same(newest(resumed), newest(straight))
    assert (resumed.folder / "metrics.jsonl").read_bytes() == (straight.folder / "metrics.jsonl").read_bytes()


def test_run_of_damaged_checkpoints_does_not_begin_anew_by_itself(new_run: NewRun) -> None:
    new_run().fit()
    again = new_run()
    for path in (again.folder / "checkpoints").glob("*.pt"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointDamaged, match="are damaged"):
        again.fit()


def test_checkpoint_of_another_network_is_refused_before_anything_is_touched(
    new_run: NewRun,
    network_of: Callable[..., nn.Module],
    learner_of: Callable[..., SupervisedLearner],
    config_of: Callable[..., TrainingConfig],
) -> None:
    first = new_run()
    first.fit()
    metrics = (first.folder / "metrics.jsonl").read_bytes()
    other = new_run()
    other.learner = learner_of(config_of(), network_of(width=8))
    with pytest.raises(CheckpointMismatch, match=r"first\.weight: 4 x 2 x 3 x 3 x 3 in the checkpoint"):
        other.fit()
    assert (first.folder / "metrics.jsonl").read_bytes() == metrics
    with pytest.raises(CheckpointMismatch, match=r"first\.weight"):
        load_best(first.folder, other.learner)


def test_checkpoint_of_another_configuration_is_refused(
    new_run: NewRun, config_of: Callable[..., TrainingConfig]
) -> None:
    new_run().fit()
    other = config_of(optimiser=OptimiserConfig(learning_rate=0.02, average_decay=0.9))
    with pytest.raises(CheckpointMismatch, match=r"optimiser\.learning_rate was 0\.01, is 0\.02"):
        new_run(config=other).fit()


def test_checkpoint_of_another_version_is_refused(new_run: NewRun) -> None:
    run = new_run()
    run.fit()
    path = max((run.folder / "checkpoints").glob("*.pt"))
    state = read_checkpoint(path)
    CheckpointStore(run.folder / "checkpoints").save({**state, "format": 99}, step=12)
    with pytest.raises(CheckpointMismatch, match="the checkpoint has the format 99"):
        new_run().fit()


def test_locked_folder_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("tds_core.training.engine.store.fcntl.lockf", locked)
    with pytest.raises(TrainingError, match="another process trains"):
        run.fit()


def test_events_are_never_taken_back(new_run: NewRun) -> None:
    run = new_run()
    kill_at(run, 5)
    fit_killed(run)
    new_run().fit()
    new_run().fit()
    lines = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [("resumed", 4), ("resumed", 12)]


def test_event_that_cannot_be_written_is_told_and_harms_nothing(
    new_run: NewRun, caplog: pytest.LogCaptureFixture
) -> None:
    new_run().fit()
    again = new_run()
    (again.folder / "events.jsonl").unlink(missing_ok=True)
    (again.folder / "events.jsonl").mkdir()
    assert again.fit().status == "finished"
    assert "event_not_written event=resumed" in caplog.text


class Counter(nn.Module):
    """A learner of another kind: it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.count = nn.Parameter(torch.zeros(()))

    @property
    def network(self) -> nn.Module:
        return self

    @property
    def evaluated(self) -> nn.Module:
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def step(self, batch: Batch, *, micro_batch: int, rate: float) -> StepResult:
        assert len(batch.images) >= micro_batch
        with torch.no_grad():
            self.count.add_(rate)
        return StepResult(loss=1.0 / (1.0 + float(self.count.detach())), gradient_norm=1.0, values={"entropy": 0.5})


def test_any_learner_is_driven_and_resumed(new_run: NewRun) -> None:
    straight, run, resumed = new_run("straight"), new_run("run"), new_run("run")
    for each in (straight, run, resumed):
        each.learner = Counter()
    straight.fit()
    kill_at(run, 7)
    fit_killed(run)
    resumed.fit()
    assert torch.equal(straight.learner.count, resumed.learner.count)
    assert records(straight)[0]["entropy"] == 0.5
    assert any("train/entropy" in values for _, values in straight.heard.numbers)
