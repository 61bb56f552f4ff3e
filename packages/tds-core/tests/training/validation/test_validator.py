from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tds_core import ConfigError, TrainingError
from tds_core.metrics import dice as oracle_dice
from tds_core.training.config import (
    BRAIN_TUMOUR,
    DataConfig,
    DatasetConfig,
    InferenceConfig,
    Precision,
    SamplingConfig,
    TrainingConfig,
)
from tds_core.training.distributed import Launch, World
from tds_core.training.engine.protocols import ValidationResult, Validator
from tds_core.training.models import build_network
from tds_core.training.validation import SlidingWindowValidator, region_dice, window_plan
from tds_data.cache import CachedCase

CPU = torch.device("cpu")
Make = Callable[..., TrainingConfig]
Cases = tuple[CachedCase, ...]


class Bright(nn.Module):
    """Finds what is bright in FLAIR and takes all of it for oedema."""

    def forward(self, x: Tensor) -> Tensor:
        whole = (x[:, 3:] - 1.0) * 20
        return whole.repeat(1, 3, 1, 1, 1) - x.new_tensor([0.0, 1e4, 1e4])[:, None, None, None]


class Overflowing(Bright):
    """Passes what fp16 can hold while it computes in it."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            return x[:, :3] * torch.inf
        return super().forward(x)


class Share(World):
    """One process of several, played one after the other."""

    def __init__(self, rank: int, size: int, others: Sequence[Tensor] = ()) -> None:
        super().__init__(Launch(rank=rank, size=size, local_rank=rank, local_size=size))
        self.others, self.mine = others, torch.zeros(0)

    def sum(self, values: Tensor) -> Tensor:
        self.mine = values.clone()
        return torch.stack([values, *self.others]).sum(0)


def validate(cases: Cases, config: TrainingConfig, network: nn.Module, **more: object) -> ValidationResult:
    validator: Validator = SlidingWindowValidator(cases, config, CPU, **more)  # type: ignore[arg-type]  # passed on
    return validator.validate(network)


def test_scores_are_dice_on_the_networks_grid(cached: Cases, make_config: Make) -> None:
    result = validate(cached, make_config(), Bright())
    assert [(c.case, c.phantom) for c in result.cases] == [("head-0", False), ("head-1", False), ("head-2", True)]
    for case, scored in zip(cached, result.cases, strict=True):
        arrays = case.arrays()
        found = arrays.image[3] * np.float32(case.scale) >= 1.0
        assert scored.dice["WT"] == pytest.approx(oracle_dice(found, arrays.labels > 0), abs=1e-6)
        assert scored.dice["TC"] == scored.dice["ET"] == 1.0  # the heads have neither, and none is found
    assert 0.1 < result.mean_dice["WT"] < 1.0
    assert result.mean_dice["WT"] == pytest.approx(np.mean([c.dice["WT"] for c in result.cases]))
    assert result.score == pytest.approx(np.mean(list(result.mean_dice.values())))
    assert result.seconds > 0
    assert result.overlays == ()


def test_windows_and_whole_images_agree_for_a_network_that_sees_one_voxel(cached: Cases, make_config: Make) -> None:
    fixed = make_config(sampling=SamplingConfig(patch=(8, 8, 8), batch=1))
    large = make_config(sampling=SamplingConfig(patch=(32, 32, 32), batch=1))
    assert validate(cached, fixed, Bright()).cases == validate(cached, large, Bright()).cases


def test_threshold_of_the_configuration_counts(cached: Cases, make_config: Make) -> None:
    strict = make_config(inference=InferenceConfig(thresholds={"WT": 1.0}))
    loose = make_config(inference=InferenceConfig(thresholds={"WT": 0.0}))
    usual, few, everything = (validate(cached, c, Bright()).mean_dice["WT"] for c in (make_config(), strict, loose))
    assert everything < usual < few


@pytest.mark.parametrize("size", [2, 3, 5])
def test_processes_share_the_cases_and_come_to_the_same_result(cached: Cases, make_config: Make, size: int) -> None:
    alone = validate(cached, make_config(), Bright())
    worlds = [Share(rank, size) for rank in range(size)]
    for world in worlds:
        validate(cached, make_config(), Bright(), world=world)
    done = torch.stack([world.mine for world in worlds]) != 0
    assert done.sum(0).max() == 1
    for world in worlds:
        others = [other.mine for other in worlds if other is not world]
        together = validate(cached, make_config(), Bright(), world=Share(world.rank, size, others))
        assert together.cases == alone.cases
        assert together.score == alone.score


def test_pictures_show_the_same_slices_each_time_and_say_phantom(cached: Cases, make_config: Make) -> None:
    validator = SlidingWindowValidator(cached[2:], make_config(), CPU, overlays=2)
    first, second = validator.validate(Bright()).overlays, validator.validate(Bright()).overlays
    assert [p.name for p in first] == ["case-0-axial", "case-0-coronal", "case-0-sagittal"]
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.pixels, two.pixels)
    real = SlidingWindowValidator(cached[:1], make_config(), CPU, overlays=1).validate(Bright()).overlays
    assert "case-0-axial" in {p.name for p in real}


def test_only_the_main_process_draws(cached: Cases, make_config: Make) -> None:
    other = SlidingWindowValidator(cached, make_config(), CPU, Share(1, 2), overlays=3)
    assert other.validate(Bright()).overlays == ()
    main = SlidingWindowValidator(cached, make_config(), CPU, Share(0, 2), overlays=3)
    assert {p.name.rsplit("-", 1)[0] for p in main.validate(Bright()).overlays} == {"case-0", "case-1"}


def test_network_stays_as_it_was(cached: Cases, make_config: Make) -> None:
    torch.manual_seed(0)
    config = make_config()
    network = build_network(config.network, in_channels=4, out_channels=3, patch=(16, 16, 16)).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    validate(cached[:1], config, network)
    assert network.training
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_overflow_in_fp16_is_measured_again_in_float32(
    cached: Cases, make_config: Make, caplog: pytest.LogCaptureFixture
) -> None:
    half = make_config(precision=Precision.FP16)
    assert validate(cached[:1], half, Overflowing()).cases == validate(cached[:1], make_config(), Bright()).cases
    assert "validation_overflowed_in_fp16 case=0" in caplog.text


def test_network_that_gives_no_numbers_has_no_score(cached: Cases, make_config: Make) -> None:
    with pytest.raises(TrainingError, match="not finite for 3 of 3 validation cases"):
        validate(cached, make_config(precision=Precision.BF16), Overflowing())


def test_validation_without_masks_or_cases_is_refused(cached: Cases, make_config: Make) -> None:
    blind = (cached[0], replace(cached[1], labelled=False))
    with pytest.raises(TrainingError, match="needs cases with masks; without one: head-1"):
        SlidingWindowValidator(blind, make_config(), CPU)
    with pytest.raises(TrainingError, match="there is no case"):
        SlidingWindowValidator((), make_config(), CPU)


def test_plan_follows_the_network(make_config: Make) -> None:
    plan = window_plan(make_config(inference=InferenceConfig(overlap=0.25)))
    assert (plan.patch, plan.overlap, plan.multiple, plan.fixed) == ((16, 16, 16), 0.25, (2, 2, 2), False)
    assert plan.whole_voxels == 4 * 16**3


def test_fixed_networks_only_get_their_own_size(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tds_core.training.validation.plan.model_facts", lambda _: type("Facts", (), {"fixed_size": True})
    )
    plan = window_plan(make_config())
    assert (plan.fixed, plan.patch) == (True, (16, 16, 16))


def test_configuration_that_was_not_resolved_is_refused(cached: Cases, make_config: Make) -> None:
    with pytest.raises(ConfigError, match=r"set sampling\.patch"):
        SlidingWindowValidator(cached, make_config(sampling=SamplingConfig()), CPU)
    with pytest.raises(ConfigError, match=r"set data\.spacing_mm"):
        SlidingWindowValidator(cached, make_config(data=DataConfig(datasets=(DatasetConfig(phantoms=1),))), CPU)
    with pytest.raises(ConfigError, match="multiple of 2"):
        SlidingWindowValidator(cached, make_config(sampling=SamplingConfig(patch=(15, 16, 16))), CPU)


def test_dice_of_two_empty_masks_is_one() -> None:
    labels = np.zeros((2, 2, 2), np.uint8)
    nothing = dict.fromkeys(BRAIN_TUMOUR.regions, labels > 0)
    assert set(region_dice(nothing, labels, BRAIN_TUMOUR).values()) == {1.0}
    labels[0] = 1
    everything = dict.fromkeys(BRAIN_TUMOUR.regions, labels >= 0)
    found = region_dice(everything, labels, BRAIN_TUMOUR)
    assert found == {"WT": pytest.approx(2 / 3), "TC": pytest.approx(2 / 3), "ET": 0.0}
