from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import nn

from tds_core.errors import CheckpointMismatch
from tds_core.training.config import Device, LengthConfig, OptimiserConfig, SamplingConfig, TrainingConfig, to_document
from tds_core.training.engine.matching import check_config, check_network, shapes


def test_same_network_passes(network_of: Callable[..., nn.Module]) -> None:
    check_network(shapes(network_of(seed=1)), network_of(seed=2))


def test_other_network_is_refused_with_the_first_tensors_that_differ(network_of: Callable[..., nn.Module]) -> None:
    with pytest.raises(CheckpointMismatch) as caught:
        check_network(shapes(network_of(width=4)), network_of(width=8))
    assert "3 of 4 tensors differ" in str(caught.value)
    assert "first.weight: 4 x 2 x 3 x 3 x 3 in the checkpoint, 8 x 2 x 3 x 3 x 3 in this network" in str(caught.value)


def test_tensor_that_only_one_side_has_is_named() -> None:
    with pytest.raises(CheckpointMismatch, match=r"1\.weight: absent in the checkpoint, 1 in this network"):
        check_network(shapes(nn.Sequential(nn.ReLU())), nn.Sequential(nn.ReLU(), nn.PReLU()))


def test_number_is_called_a_number() -> None:
    with pytest.raises(CheckpointMismatch, match="num_batches_tracked: a number in the checkpoint, absent"):
        check_network(shapes(nn.BatchNorm1d(1)), nn.BatchNorm1d(1, track_running_stats=False))


def test_harmless_keys_may_change_and_are_told(config_of: Callable[..., TrainingConfig]) -> None:
    config = config_of()
    later = replace(
        config,
        length=LengthConfig(epochs=9, patience=3),
        device=Device.CPU,
        data=replace(config.data, workers=0, cache=None),
        sampling=replace(config.sampling, micro_batch=1),
        safety=replace(config.safety, keep=5),
    )
    changed = check_config(to_document(config), to_document(later))
    assert set(changed) == {
        "length.epochs",
        "length.patience",
        "length.validate_every",
        "device",
        "data.workers",
        "sampling.micro_batch",
        "safety.keep",
    }


def test_keys_that_decide_what_is_learned_may_not_change(config_of: Callable[..., TrainingConfig]) -> None:
    config = config_of()
    other = replace(
        config,
        seed=6,
        optimiser=OptimiserConfig(learning_rate=0.5, average_decay=0.9),
        sampling=SamplingConfig(batch=8, steps_per_epoch=4, micro_batch=4),
        length=LengthConfig(epochs=9, validate_every=1),
    )
    with pytest.raises(CheckpointMismatch) as caught:
        check_config(to_document(config), to_document(other))
    message = str(caught.value)
    assert "seed was 5, is 6" in message
    assert "optimiser.learning_rate was 0.01, is 0.5" in message
    assert "sampling.batch was 4, is 8" in message
    assert "length" not in message


def test_data_set_that_was_added_is_named(config_of: Callable[..., TrainingConfig]) -> None:
    config = config_of()
    more = replace(config, data=replace(config.data, datasets=config.data.datasets * 2))
    with pytest.raises(CheckpointMismatch, match=r"data\.datasets\.1\.phantoms was None, is 1"):
        check_config(to_document(config), to_document(more))


def test_option_of_the_network_is_named(config_of: Callable[..., TrainingConfig]) -> None:
    config = config_of()
    other = replace(config, network=replace(config.network, options={"init_filters": 8}))
    with pytest.raises(CheckpointMismatch, match=r"network\.options"):
        check_config(to_document(config), to_document(other))
