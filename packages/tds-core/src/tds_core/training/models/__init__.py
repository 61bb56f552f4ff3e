"""Networks to train, by name.

Each module describes one network: `ModelSpec` with its options, its rule for patches and how to build it on MONAI.
`registry` holds them all. What a network normalises over, it normalises per patch, never over the batch, so that
micro-batches and several processes give the same step as one.
"""

from tds_core.training.models.registry import (
    MODEL_NAMES,
    build_network,
    check_patch,
    model_facts,
    patch_factors,
    state_without_heads,
)
from tds_core.training.models.spec import ModelFacts, ModelSpec, NetworkRequest

__all__ = [
    "MODEL_NAMES",
    "ModelFacts",
    "ModelSpec",
    "NetworkRequest",
    "build_network",
    "check_patch",
    "model_facts",
    "patch_factors",
    "state_without_heads",
]
