from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tds_core.training.config import BRAIN_TUMOUR, Heads, LossConfig, NetworkConfig, Shape
from tds_core.training.losses import build_loss, region_targets
from tds_core.training.models import MODEL_NAMES, build_network
from tds_data import PhantomConfig, make_phantom

_STEPS: Final = 240
_LOOK_EVERY: Final = 20
_WARM: Final = 10
_ENOUGH: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network that is small enough to learn one patch by heart within a minute, and how."""

    options: dict[str, object] = field(default_factory=dict)
    deep_supervision: bool = False
    rate: float = 1e-2
    patch: Shape = (32, 32, 32)


# Two levels, the coarser one left again in the last block.
FOUND: Final = {
    "channels": 8,
    "depths": 2,
    "downsample": False,
    "blocks": [
        [{"source": 0, "target": 0, "operation": "conv_3x3x3"}, {"source": 0, "target": 1, "operation": "conv_3x3x3"}],
        [{"source": 0, "target": 0, "operation": "conv_3x3x3"}, {"source": 1, "target": 0, "operation": "conv_3x3x3"}],
    ],
}
RECIPES: Final = {
    "segresnet": Recipe(
        options={
            "init_filters": 8,
            "groups": 4,
            "blocks_down": [1, 1, 1],
            "blocks_up": [1, 1],
            "upsampling": "transposed",
        },
    ),
    "unet": Recipe(options={"channels": [8, 16, 32]}),
    "dynunet": Recipe(options={"channels": 6}, deep_supervision=True),
    "mednext": Recipe(options={"channels": 8}, deep_supervision=True),
    "unetr": Recipe(options={"feature_size": 8, "hidden_size": 48, "mlp_size": 96, "heads": 4}, rate=3e-3),
    "swin_unetr": Recipe(
        options={"feature_size": 12, "depths": [1, 1, 1, 1], "window": 4}, rate=3e-3, patch=(64, 32, 32)
    ),
    "dints": Recipe(options={"architecture": FOUND}),
    "dints_search": Recipe(options={"channels": 4, "blocks": 2, "depths": 2, "downsample": False}),
}


@pytest.fixture(scope="module")
def head() -> tuple[Tensor, Tensor]:
    """Z-scores (4, x, y, z) and labels (x, y, z) of a phantom on voxels of 3 mm, with air around it."""
    pytest.importorskip("nilearn", reason="phantoms need the anatomy of the extra tds-data[phantom]")
    case = make_phantom(PhantomConfig(seed=1, spacing_mm=3.0))
    assert case.reference is not None
    images = torch.from_numpy(np.stack([v.voxels for v in case.images.values()]).astype(np.float32))
    brain = images[0] != 0
    mean, std = images[:, brain].mean(1), images[:, brain].std(1)
    scores = (images - mean[:, None, None, None]) / std[:, None, None, None] * brain
    labels = torch.from_numpy(case.reference.voxels.astype(np.uint8))
    return nn.functional.pad(scores, [32] * 6), nn.functional.pad(labels, [32] * 6)


def cut(head: tuple[Tensor, Tensor], patch: Shape) -> tuple[Tensor, Tensor]:
    """The patch around the middle of the tumour, as a batch of one."""
    scores, labels = head
    middle = labels.nonzero().float().mean(0).round().int().tolist()
    place = tuple(slice(m - n // 2, m + n // 2) for m, n in zip(middle, patch, strict=True))
    return scores[(slice(None), *place)][None], labels[place][None]


def mean_dice(network: nn.Module, image: Tensor, regions: Tensor) -> float:
    network.eval()
    with torch.no_grad():
        found = (network(image) > 0).float()
    network.train()
    both, either = (found * regions).sum((0, 2, 3, 4)), (found + regions).sum((0, 2, 3, 4))
    return float((2 * both / either).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_network_learns_one_phantom_by_heart(head: tuple[Tensor, Tensor], name: str) -> None:
    recipe = RECIPES[name]
    image, labels = cut(head, recipe.patch)
    regions = region_targets(labels, BRAIN_TUMOUR)
    assert (regions.sum((0, 2, 3, 4)) > 500).all()
    torch.manual_seed(0)
    config = NetworkConfig(name=name, options=recipe.options, deep_supervision=recipe.deep_supervision)
    network = build_network(config, in_channels=4, out_channels=3, patch=recipe.patch).train()
    loss = build_loss(LossConfig(), BRAIN_TUMOUR, Heads.REGIONS)
    optimiser = torch.optim.AdamW(network.parameters())
    best = 0.0
    for step in range(1, _STEPS + 1):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * min(1.0, step / _WARM)
        optimiser.zero_grad()
        torch.autograd.backward(loss(network(image), labels))
        nn.utils.clip_grad_norm_(network.parameters(), 12.0)
        optimiser.step()
        if step % _LOOK_EVERY == 0:
            best = max(best, mean_dice(network, image, regions))
            if best > _ENOUGH:
                return
    pytest.fail(f"{name} reaches a mean Dice of {best:.3f} on the patch that it was trained on")
