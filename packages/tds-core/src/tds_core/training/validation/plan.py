"""How the network of a run is led over whole images."""

import math
from typing import Final

from tds_core.errors import ConfigError
from tds_core.training.config import TrainingConfig
from tds_core.training.models import check_patch, model_facts, patch_factors
from tds_core.windows import WindowPlan

_WHOLE_PATCHES: Final = 4
"""Without gradients an image of so many patches takes no more memory than a training step on one."""


def window_plan(config: TrainingConfig) -> WindowPlan:
    """Return the windows of a run.

    Args:
        config: Resolved: its patch is known.

    Raises:
        ConfigError: If there is no patch, or the network does not take it.
    """
    patch = config.sampling.patch
    if patch is None:
        message = "whole cases need windows: set sampling.patch, or let a plan set it"
        raise ConfigError(message)
    check_patch(config.network, patch)
    overlap = config.inference.overlap
    if model_facts(config.network.name).fixed_size:
        return WindowPlan(patch=patch, overlap=overlap, fixed=True, multiple=patch)
    whole = _WHOLE_PATCHES * math.prod(patch)
    return WindowPlan(patch=patch, overlap=overlap, multiple=patch_factors(config.network, patch), whole_voxels=whole)


def spacing_mm(config: TrainingConfig) -> tuple[float, float, float]:
    """Return the edges of the network's voxels along x, y, z, in millimetres.

    Args:
        config: Resolved: its spacing is known.

    Raises:
        ConfigError: If it is not.
    """
    edges = config.data.spacing_mm
    if edges is None:
        message = "the network's voxels are not known: set data.spacing_mm, or let a plan set it"
        raise ConfigError(message)
    return edges if isinstance(edges, tuple) else (edges, edges, edges)
