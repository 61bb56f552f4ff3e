"""Whole heads on the network's grid: how the default bundle's training is validated."""

import time
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tds_core.training.engine.protocols import CaseDice, ValidationResult
from tds_core.training.mixture.samples import Sample
from tds_core.windows import MULTIPLE
from tds_data.vocabulary import REGIONS

_INSIDE: Final = 0.5


class WholeHeadValidator:
    """Measures a network on whole heads at once, which is what inference does.

    Args:
        samples: Patients that are never trained on; at least one.
        precision: Number format of the forward pass.
    """

    def __init__(self, samples: Sequence[Sample], precision: torch.dtype = torch.bfloat16) -> None:
        self._samples, self._precision = tuple(samples), precision

    def validate(self, network: nn.Module) -> ValidationResult:
        """Return the Dice of each patient; the network's mode and weights stay as they were.

        Args:
            network: Maps (1, 4, x, y, z) to logits (1, 3, x, y, z).
        """
        began = time.perf_counter()
        cases = tuple(
            CaseDice(case=sample.name, phantom=False, dice=coarse_dice(network, sample, self._precision))
            for sample in self._samples
        )
        mean = {region.value: sum(case.dice[region] for case in cases) / len(cases) for region in REGIONS}
        return ValidationResult(
            cases=cases,
            mean_dice=mean,
            score=sum(mean.values()) / len(mean),
            seconds=time.perf_counter() - began,
        )


def coarse_dice(network: nn.Module, sample: Sample, precision: torch.dtype = torch.bfloat16) -> dict[str, float]:
    """Return the Dice of WT, TC, ET of one patient on the network's grid; 1 where both are empty.

    Args:
        network: Maps (1, 4, x, y, z) to logits (1, 3, x, y, z).
        sample: The patient.
        precision: Number format of the forward pass.
    """
    logits = predict(network, sample.image, precision)
    found, truth = logits > 0, sample.regions > _INSIDE
    both = (found & truth).sum((1, 2, 3)) * 2.0
    total = found.sum((1, 2, 3)) + truth.sum((1, 2, 3))
    scores = torch.where(total > 0, both / total.clamp(min=1), 1.0).tolist()
    return dict(zip((region.value for region in REGIONS), scores, strict=True))


def predict(network: nn.Module, image: Tensor, precision: torch.dtype = torch.bfloat16) -> Tensor:
    """Return float32 logits of shape (3, x, y, z) for a whole image, padded to a multiple of 8 and cut back.

    Args:
        network: The network.
        image: Float32 tensor of shape (4, x, y, z).
        precision: Number format of the forward pass.
    """
    shape = image.shape[1:]
    pad = [p for n in reversed(shape) for p in (0, -n % MULTIPLE)]
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, dtype=precision):
        logits: Tensor = network(functional.pad(image, pad)[None].to(device))
    network.train(was_training)
    return logits[0, :, : shape[0], : shape[1], : shape[2]].float().cpu()
