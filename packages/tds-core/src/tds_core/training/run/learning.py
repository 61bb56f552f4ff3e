"""Network, learner and source of a run, built from its configuration."""

from pathlib import Path

import torch
from torch import nn

from tds_core.bundle import WEIGHTS_NAME
from tds_core.errors import CheckpointMismatch, ConfigError
from tds_core.training.averaging import WeightAverage
from tds_core.training.config import TrainingConfig
from tds_core.training.distributed import World
from tds_core.training.engine import CacheSource, Learner, StepSettings, SupervisedLearner
from tds_core.training.losses import build_loss
from tds_core.training.models import build_network
from tds_core.training.optimisers import build_optimiser
from tds_core.training.run.cases import RunCases
from tds_data.loading import PRESETS, LoaderMeans, PatchConfig, Preset


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


def open_source(config: TrainingConfig, cases: RunCases, world: World) -> CacheSource:
    """Return the patches of a run.

    Args:
        config: Resolved: patch and batch are known.
        cases: Of the run.
        world: All processes.

    Raises:
        ConfigError: If patch or batch are not known, or a weight is of a region that the task has not.
        DataError: If the loader cannot be (from tds_data).
    """
    sampling = config.sampling
    if sampling.patch is None or sampling.batch is None:
        message = "the run has no patch size or batch; set sampling.patch and sampling.batch, or let a plan choose them"
        raise ConfigError(message)
    unknown = sorted(set(sampling.region_weights) - set(config.goal.regions))
    if unknown:
        message = f"sampling.region_weights names {', '.join(unknown)}; the task has {', '.join(config.goal.regions)}"
        raise ConfigError(message)
    weights = dict(sampling.region_weights) or dict.fromkeys(config.goal.regions, 1.0)
    patches = PatchConfig(
        shape=sampling.patch,
        batch_size=sampling.batch,
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
    return CacheSource(cases.training, patches, means, world)


def _begin_from(network: nn.Module, folder: Path) -> None:
    from safetensors import SafetensorError  # noqa: PLC0415  # only a run that begins from weights reads some
    from safetensors.torch import load_file  # noqa: PLC0415  # as above

    try:
        weights = load_file(folder / WEIGHTS_NAME)
        network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (OSError, SafetensorError) as error:
        message = f"network.weights: there is no bundle with readable weights at {str(folder)!r}"
        raise ConfigError(message) from error
    except RuntimeError as error:
        message = (
            f"network.weights: the bundle {folder.name!r} holds another network; take its network's name and options "
            f"into the configuration ({str(error).splitlines()[-1].strip()})"
        )
        raise CheckpointMismatch(message) from error
