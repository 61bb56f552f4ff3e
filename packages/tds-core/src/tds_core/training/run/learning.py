"""Network, learner and source of a run, built from its configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import nn

from tds_core.bundle import WEIGHTS_NAME
from tds_core.errors import CheckpointMismatch, ConfigError
from tds_core.training.averaging import WeightAverage
from tds_core.training.config import TrainingConfig
from tds_core.training.dints import PairedSource, SearchLearner, split_patients
from tds_core.training.distributed import World
from tds_core.training.engine import BatchSource, CacheSource, Learner, StepSettings, SupervisedLearner
from tds_core.training.export import read_weights
from tds_core.training.losses import build_loss
from tds_core.training.models import build_network, check_patch, patch_factors, state_without_heads
from tds_core.training.optimisers import build_optimiser
from tds_core.training.run.cases import RunCases
from tds_data.cache import CachedCase
from tds_data.loading import PRESETS, LoaderMeans, PatchConfig, Preset

if TYPE_CHECKING:
    from monai.networks.nets.dints import DiNTS

SEARCH_NAME: Final = "dints_search"
"""Network of a run that looks for an architecture."""

_SOME_PATCH: Final = (96, 96, 96)


def check_learning(config: TrainingConfig, world: World) -> None:
    """Refuse what cannot be built, before hours of preparing data.

    Args:
        config: Of the run; what is left to a plan is not looked at.
        world: All processes.

    Raises:
        ConfigError: If network, patch, loss, batch or the weights to begin from cannot be.
    """
    patch, batch, weights = config.sampling.patch, config.sampling.batch, config.network.weights
    if patch is None:
        patch_factors(config.network, _SOME_PATCH)
    else:
        check_patch(config.network, patch)
    build_loss(config.loss, config.goal, config.network.heads)
    if batch is not None:
        world.check_batch(batch)
        if is_search(config) and batch % 2:
            message = f"a search splits each batch in two halves; sampling.batch is {batch}: give an even number"
            raise ConfigError(message)
    if weights is not None and not (weights / WEIGHTS_NAME).is_file():
        message = f"network.weights: there is no bundle with readable weights at {str(weights)!r}"
        raise ConfigError(message)


def initial_network(config: TrainingConfig, world: World) -> nn.Module:
    """Return the network of a run with its first weights, the same in every process.

    Args:
        config: Resolved: its patch is known.
        world: All processes.

    Raises:
        ConfigError: If the network cannot be built so, or the weights to begin from are of another.
    """
    patch = config.sampling.patch
    if patch is None:
        message = "the run has no patch size; set sampling.patch, or let a plan choose it"
        raise ConfigError(message)
    # MONAI draws initial weights from torch's global generator; it is put back as it was.
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build_network(
            config.network, in_channels=len(config.goal.channels), out_channels=config.output_channels, patch=patch
        )
    if config.network.weights is not None:
        _begin_from(network, config.network.weights)
    network = network.to(world.device)
    world.synchronise(network)
    return network


def supervised_learner(config: TrainingConfig, network: nn.Module, world: World) -> Learner:
    """Return what trains a network on labels.

    Args:
        config: Of the run.
        network: On the device of the run.
        world: All processes.

    Raises:
        ConfigError: If the loss or the precision cannot be.
    """
    return SupervisedLearner(
        network,
        build_loss(config.loss, config.goal, config.network.heads).to(world.device),
        build_optimiser(config.optimiser, network),
        average=WeightAverage(network, config.optimiser.average_decay),
        settings=StepSettings(precision=config.precision, clip_norm=config.optimiser.clip_norm, seed=config.seed),
        world=world,
    )


def make_learner(config: TrainingConfig, world: World) -> Learner:
    """Return what trains: an architecture search for the network `dints_search`, else supervised learning.

    Args:
        config: Resolved.
        world: All processes.

    Raises:
        ConfigError: If network, loss or optimiser cannot be built so.
    """
    network = initial_network(config, world)
    if not is_search(config):
        return supervised_learner(config, network, world)
    loss = build_loss(config.loss, config.goal, config.network.heads).to(world.device)
    return SearchLearner(cast("DiNTS", network), loss, config, world=world)


def is_search(config: TrainingConfig) -> bool:
    """Return whether a run looks for an architecture instead of weights.

    Args:
        config: Of the run.
    """
    return config.network.name == SEARCH_NAME


def open_source(config: TrainingConfig, cases: RunCases, world: World) -> BatchSource:
    """Return the patches of a run; those of a search come in turn from two halves of the patients.

    Args:
        config: Resolved: patch and batch are known.
        cases: Of the run.
        world: All processes.

    Raises:
        ConfigError: If patch or batch are not known.
        DataError: If the loader cannot be (from tds_data).
    """
    if not is_search(config):
        return _open_patches(config, cases.training, world, batch=config.sampling.batch)
    batch = config.sampling.batch
    halves = split_patients(cases.training, config.seed)
    first, second = (_open_patches(config, half, world, batch=None if batch is None else batch // 2) for half in halves)
    return PairedSource(first, second)


def _open_patches(
    config: TrainingConfig, cases: Sequence[CachedCase], world: World, *, batch: int | None
) -> CacheSource:
    sampling = config.sampling
    if sampling.patch is None or batch is None:
        message = "the run has no patch size or batch; set sampling.patch and sampling.batch, or let a plan choose them"
        raise ConfigError(message)
    weights = dict(sampling.region_weights) or dict.fromkeys(config.goal.regions, 1.0)
    patches = PatchConfig(
        shape=sampling.patch,
        batch_size=batch,
        batches_per_epoch=sampling.steps_per_epoch,
        foreground_share=sampling.foreground_share,
        region_weights=weights,
        augmentation=None if sampling.augmentation == "none" else PRESETS[Preset(sampling.augmentation)],
        seed=config.seed,
    )
    means = LoaderMeans(
        workers=config.data.workers,
        max_bytes=config.data.max_loader_bytes,
        pin_memory=world.device.type == "cuda",
    )
    return CacheSource(cases, patches, means, world)


def _begin_from(network: nn.Module, folder: Path) -> None:
    from safetensors import SafetensorError  # noqa: PLC0415  # only a run that begins from weights reads some

    own = network.state_dict()
    try:
        weights = read_weights(folder)
        if state_without_heads(own).keys() == own.keys():  # this run trains no coarser outputs, that one may have
            weights = state_without_heads(weights)
        network.load_state_dict(weights)
    except (OSError, SafetensorError) as error:
        message = f"network.weights: there is no bundle with readable weights at {str(folder)!r}"
        raise ConfigError(message) from error
    except RuntimeError as error:
        message = (
            f"network.weights: the bundle {folder.name!r} holds another network; take its network's name and options "
            f"into the configuration ({str(error).splitlines()[-1].strip()})"
        )
        raise CheckpointMismatch(message) from error
