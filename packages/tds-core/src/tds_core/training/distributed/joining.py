"""How a process joins the others that torchrun started with it."""

import logging
import os
from typing import Final

import torch

from tds_core.errors import ConfigError
from tds_core.training.config import Device
from tds_core.training.distributed.devices import choose_device
from tds_core.training.distributed.launch import Launch
from tds_core.training.distributed.world import World

_TIMEOUT_S: Final = 1800.0

logger = logging.getLogger(__name__)


def join_world(device: Device = Device.AUTO, *, timeout_s: float = _TIMEOUT_S) -> World:
    """Return the processes that torchrun started, once all are there; a world of one where it started none.

    torch and this function take from the environment what torchrun put there.

    Args:
        device: What the configuration says.
        timeout_s: Seconds after which a process that does not answer counts as gone, and this one gives up.

    Raises:
        ConfigError: If the environment is set by half, a GPU was asked for and there is none, or processes differ in
        it. TrainingError: If not all processes arrive in time.
    """
    launch = Launch.from_environment(os.environ)
    chosen = choose_device(device, launch)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if launch.size == 1:
        return World(launch, chosen)
    world = World.joined(launch, chosen, timeout_s)
    kinds = world.gather(chosen.type)
    if len(set(kinds)) > 1:
        world.close()
        message = (
            f"processes train on different kinds of device ({', '.join(kinds)}); set device: cpu, or give each a GPU"
        )
        raise ConfigError(message)
    logger.info("world_joined rank=%d size=%d device=%s", world.rank, world.size, chosen)
    return world
