"""Scores of a network on whole cases that are never trained on."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tds_core.errors import TrainingError
from tds_core.pictures import Overlay
from tds_core.training.config import Precision, TrainingConfig
from tds_core.training.distributed import World
from tds_core.training.engine.protocols import CaseDice, ValidationResult
from tds_core.training.validation.pictures import Pictures
from tds_core.training.validation.plan import spacing_mm, window_plan
from tds_core.training.validation.prediction import PredictionConfig, predict_image
from tds_data.cache import CachedCase
from tds_data.task import Task

_INSIDE: Final = 0.5

logger = logging.getLogger(__name__)


class SlidingWindowValidator:
    """Measures Dice per case and region on the network's own grid.

    The cases are shared among the processes of a run; all of them get the same result.

    Args:
        cases: With masks; in the same order in every process.
        config: Resolved configuration of the run.
        device: Where the network is.
        world: The processes; this one alone if `None`.
        overlays: How many cases are pictured, the same slices at each validation.

    Raises:
        TrainingError: If there is no case, or one without a mask.
        ConfigError: If the configuration has no patch.
    """

    def __init__(
        self,
        cases: Sequence[CachedCase],
        config: TrainingConfig,
        device: torch.device,
        world: World | None = None,
        *,
        overlays: int = 0,
    ) -> None:
        blind = [case.name for case in cases if not case.labelled]
        if blind or not cases:
            message = f"validation needs cases with masks; without one: {', '.join(blind[:3]) or 'there is no case'}"
            raise TrainingError(message)
        self._cases, self._task = tuple(cases), config.goal
        self._thresholds = {r: config.inference.thresholds.get(r, _INSIDE) for r in self._task.regions}
        self._how = PredictionConfig(
            plan=window_plan(config),
            heads=config.network.heads,
            task=self._task,
            precision=config.precision,
            device=device,
        )
        self._world = world or World()
        self._mine = self._world.share(len(cases))
        self._pictures = Pictures(self._task, spacing_mm(config))
        self._pictured = frozenset(self._mine[:overlays]) if self._world.is_main else frozenset()

    def validate(self, network: nn.Module) -> ValidationResult:
        """Return its scores; the network's mode and weights stay as they were.

        Args:
            network: On the device of the run.

        Raises:
            TrainingError: If its output is not finite, even in float32.
        """
        start = time.perf_counter()
        scores = torch.zeros((len(self._cases), len(self._task.regions)), dtype=torch.float64)
        pictures: list[Overlay] = []
        for number in self._mine:
            arrays = self._cases[number].arrays()
            image = arrays.image.astype(np.float32) * np.float32(self._cases[number].scale)
            found = self._found(network, torch.from_numpy(image), number)
            if found is None:
                scores[number] = math.nan
                continue
            dice = region_dice(found, arrays.labels, self._task)
            scores[number] = torch.tensor(list(dice.values()), dtype=torch.float64)
            if number in self._pictured:
                pictures += self._pictures.draw(number, self._cases[number], image, arrays.labels, found)
        # Each case is zero in every process but one; what is not a number in one is none in all, and ends all of them.
        scores = self._world.sum(scores)
        self._refuse_infinite(scores)
        return self._result(scores, time.perf_counter() - start, tuple(pictures))

    def _found(self, network: nn.Module, image: Tensor, number: int) -> Mapping[str, NDArray[np.bool_]] | None:
        """Return the mask of each region, `None` where the output is not finite."""
        probabilities = predict_image(network, image, self._how)
        if not probabilities.isfinite().all() and self._how.precision is Precision.FP16:
            # fp16 overflows where float32 does not; a score of what overflowed would be of nothing.
            logger.warning("validation_overflowed_in_fp16 case=%d repeated_in=fp32", number)
            probabilities = predict_image(network, image, replace(self._how, precision=Precision.FP32))
        if not probabilities.isfinite().all():
            return None
        pairs = zip(self._thresholds.items(), probabilities.numpy(), strict=True)
        return {region: found >= threshold for (region, threshold), found in pairs}

    def _refuse_infinite(self, scores: Tensor) -> None:
        broken = [case.name for case, row in zip(self._cases, scores, strict=True) if row.isnan().any()]
        if broken:
            message = (
                f"the network's output is not finite for {len(broken)} of {len(self._cases)} validation cases (such as "
                f"{broken[0]!r}); lower optimiser.learning_rate or set precision to fp32"
            )
            raise TrainingError(message)

    def _result(self, scores: Tensor, seconds: float, pictures: tuple[Overlay, ...]) -> ValidationResult:
        regions = tuple(self._task.regions)
        cases = tuple(
            CaseDice(case=case.name, phantom=case.phantom, dice=dict(zip(regions, row, strict=True)))
            for case, row in zip(self._cases, scores.tolist(), strict=True)
        )
        mean = dict(zip(regions, scores.mean(0).tolist(), strict=True))
        score = float(np.mean(list(mean.values())))
        return ValidationResult(cases=cases, mean_dice=mean, score=score, seconds=seconds, overlays=pictures)


def region_dice(found: Mapping[str, NDArray[np.bool_]], labels: NDArray[np.uint8], task: Task) -> dict[str, float]:
    """Return the Dice of each region; 1 where both masks are empty.

    Args:
        found: Boolean array of shape (x, y, z) for each region.
        labels: Uint8 labels of shape (x, y, z).
        task: Says which labels each region holds.
    """
    scores = {}
    for region, members in task.regions.items():
        truth = np.isin(labels, members)
        total = int(np.count_nonzero(truth)) + int(np.count_nonzero(found[region]))
        both = int(np.count_nonzero(truth & found[region]))
        scores[region] = 2 * both / total if total else 1.0
    return scores
