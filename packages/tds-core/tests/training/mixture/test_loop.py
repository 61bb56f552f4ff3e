from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tds_core import TrainingError
from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.checkpoint import CHECKPOINT_NAME, load_average
from tds_core.training.mixture.config import OptimiserConfig, TrainingConfig
from tds_core.training.mixture.loop import (
    PatchStream,
    Progress,
    coarse_dice,
    learning_rate,
    predict,
    segmentation_loss,
    train,
)
from tds_core.training.mixture.network import build_network


class Interrupted(Exception):
    """Stands for a run that was stopped."""


def quiet(_: Progress) -> None:
    """Report to nobody."""


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return network.state_dict()


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def test_stopped_run_goes_on_to_the_same_weights_bit_for_bit(
    config: TrainingConfig, sources: Sources, tmp_path: Path
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    reports: list[Progress] = []
    straight = train(config, sources, (sources.patients[1],), whole, reports.append)

    def stop(_: Progress) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        train(config, sources, (), stopped, stop)
    assert load_average(stopped, build_network(config.network)) == 2
    resumed = train(config, sources, (), stopped, quiet)
    assert same(weights(straight), weights(resumed))
    assert [r.step for r in reports] == [2, 4]
    assert all(r.dice is not None and set(r.dice) == {"patient-2"} for r in reports)
    assert all(np.isfinite(r.loss) and r.seconds_per_step > 0 for r in reports)

    again = train(config, sources, (), whole, quiet)
    assert same(weights(again), weights(straight))


def test_training_leaves_the_callers_random_numbers_alone(
    config: TrainingConfig, sources: Sources, tmp_path: Path
) -> None:
    short = replace(config, optimiser=replace(config.optimiser, steps=1))
    torch.manual_seed(11)
    train(short, sources, (), tmp_path, quiet)
    first = torch.randn(2)
    torch.manual_seed(12)
    train(short, sources, (), tmp_path, quiet)
    assert not torch.equal(first, torch.randn(2))


def test_another_seed_gives_other_weights(config: TrainingConfig, sources: Sources, tmp_path: Path) -> None:
    networks = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        short = replace(config, seed=seed, optimiser=replace(config.optimiser, steps=1))
        networks.append(weights(train(short, sources, (), folder, quiet)))
    assert not same(*networks)


@pytest.mark.parametrize("workers", [0, 2])
def test_patches_are_the_same_for_any_number_of_workers_and_any_start(
    config: TrainingConfig, sources: Sources, workers: int
) -> None:
    stream = PatchStream(sources, config.sampling, seed=5, length=6)
    drawn = [image for images, _ in DataLoader(stream, batch_size=2, num_workers=workers) for image in images]
    late = PatchStream(sources, config.sampling, seed=5, length=2, start=4)
    assert len(late) == 2
    assert torch.equal(torch.stack(drawn), torch.stack([stream[i][0] for i in range(6)]))
    assert torch.equal(torch.stack(drawn[4:]), torch.stack([late[i][0] for i in range(2)]))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_damaged_checkpoint_is_an_error_with_a_way_out(
    config: TrainingConfig, sources: Sources, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / CHECKPOINT_NAME
    if content is None:
        torch.save({"network": 3}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"is damaged or of another network .*; delete it to start afresh"):
        train(config, sources, (), tmp_path, quiet)


def test_cut_short_checkpoint_is_damaged(config: TrainingConfig, sources: Sources, tmp_path: Path) -> None:
    short = replace(config, optimiser=replace(config.optimiser, steps=1))
    train(short, sources, (), tmp_path, quiet)
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="is damaged"):
        train(config, sources, (), tmp_path, quiet)


def test_checkpoint_of_another_network_is_refused(config: TrainingConfig, sources: Sources, tmp_path: Path) -> None:
    short = replace(config, optimiser=replace(config.optimiser, steps=1))
    train(short, sources, (), tmp_path, quiet)
    wider = replace(config, network=replace(config.network, init_filters=16))
    with pytest.raises(TrainingError, match="of another network"):
        train(wider, sources, (), tmp_path, quiet)
    assert not (tmp_path / f"{CHECKPOINT_NAME}.part").exists()


def test_checkpoint_that_would_run_code_is_refused(config: TrainingConfig, tmp_path: Path) -> None:
    torch.save({"average": Path("anything but weights")}, tmp_path / CHECKPOINT_NAME)
    with pytest.raises(TrainingError, match="UnpicklingError"):
        load_average(tmp_path, build_network(config.network))


def test_run_without_a_checkpoint_has_no_average(config: TrainingConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"there is no checkpoint\.pt in .*; train first"):
        load_average(tmp_path, build_network(config.network))


def test_learning_rate_warms_up_then_falls_to_nothing() -> None:
    config = OptimiserConfig(steps=1000, learning_rate=0.1, warmup_steps=10, power=1.0)
    assert learning_rate(config, 1) == pytest.approx(0.01)
    assert learning_rate(config, 10) == pytest.approx(0.1 * (1 - 9 / 1000))
    assert learning_rate(config, 501) == pytest.approx(0.05)
    assert 0 < learning_rate(config, 1000) < 0.001
    assert learning_rate(config, 2000) > 0
    assert learning_rate(OptimiserConfig(steps=10, warmup_steps=0), 1) == 2e-3


def test_loss_is_soft_dice_plus_cross_entropy() -> None:
    target = torch.zeros(2, 3, 4, 4, 4)
    target[:, :, 1:3] = 1
    logits = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    shares = torch.sigmoid(logits)
    both, total = ((x.transpose(0, 1).flatten(1).sum(1)) for x in (shares * target, shares + target))
    dice = (1 - (2 * both + 1) / (total + 1)).mean()
    entropy = -(target * shares.log() + (1 - target) * (1 - shares).log()).mean()
    assert float(segmentation_loss(logits, target)) == pytest.approx(float(dice + entropy), rel=1e-5)
    assert float(segmentation_loss(40 * target - 20, target)) < 1e-4


class Constant(torch.nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert all(n % 8 == 0 for n in image.shape[2:])
        return self.logits.expand(1, 3, *image.shape[2:])


def test_whole_image_is_padded_for_the_network_and_cut_back(sources: Sources) -> None:
    network = Constant(torch.ones(1, 3, 1, 1, 1))
    logits = predict(network, sources.patients[0].image)
    assert logits.shape == (3, 24, 28, 20)
    assert logits.dtype == torch.float32
    assert network.training


def test_coarse_dice_counts_regions_and_gives_one_where_both_are_empty(sources: Sources) -> None:
    sample = replace(sources.patients[0], regions=sources.patients[0].regions.clone())
    sample.regions[2] = 0
    network = Constant(torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1))
    wt, tc, et = coarse_dice(network, sample)
    size, tumour = sample.regions[0].numel(), float(sample.regions[0].sum())
    assert wt == pytest.approx(2 * tumour / (size + tumour))
    assert (tc, et) == (0.0, 1.0)
