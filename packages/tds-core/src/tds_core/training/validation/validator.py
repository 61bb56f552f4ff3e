"""Scores of a network on whole cases that are never trained on."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tds_core.errors import TrainingError
from tds_core.training.config import Precision, TrainingConfig
from tds_core.training.engine.protocols import CaseDice, Overlay, ValidationResult
from tds_core.training.validation.plan import window_plan
from tds_core.training.validation.prediction import PredictionConfig, predict_image
from tds_data.cache import CachedCase
from tds_data.task import Task

_INSIDE = 0.5


class Team(Protocol):
    """The processes of a run, as far as validation needs them."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes.

        Args:
            values: This process's, of the same shape in all.
        """
        ...


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
        world: Team | None = None,
        *,
        overlays: int = 0,
    ) -> None:
        blind = [case.name for case in cases if not case.labelled]
        if blind or not cases:
            message = f"validation needs cases with masks; without one: {', '.join(blind[:3]) or 'there is no case'}"
            raise TrainingError(message)
        self._cases, self._task, self._world = tuple(cases), config.goal, world
        self._thresholds = {r: config.inference.thresholds.get(r, _INSIDE) for r in self._task.regions}
        self._how = PredictionConfig(
            plan=window_plan(config),
            heads=config.network.heads,
            task=self._task,
            precision=config.precision,
            device=device,
        )
        rank, size = (0, 1) if world is None else (world.rank, world.size)
        self._mine = tuple(range(rank, len(cases), size))
        self._pictured = frozenset(self._mine[:overlays]) if rank == 0 else frozenset()

    def validate(self, network: nn.Module) -> ValidationResult:
        """Return its scores; the network's mode and weights stay as they were.

        Args:
            network: On the device of the run.

        Raises:
            TrainingError: If its output is not finite, even in float32.
        """
        start = time.perf_counter()
        scores = torch.zeros((len(self._cases), len(self._task.regions)), dtype=torch.float64)
        for number in self._mine:
            arrays = self._cases[number].arrays()
            image = arrays.image.astype(np.float32) * np.float32(self._cases[number].scale)
            found = self._found(network, torch.from_numpy(image), number)
            dice = region_dice(found, arrays.labels, self._task)
            scores[number] = torch.tensor(list(dice.values()), dtype=torch.float64)
        if self._world is not None:
            # Each case is zero in every process but one.
            scores = self._world.mean(scores) * self._world.size
        return self._result(scores, time.perf_counter() - start, ())

    def _found(self, network: nn.Module, image: Tensor, number: int) -> Mapping[str, NDArray[np.bool_]]:
        probabilities = predict_image(network, image, self._how)
        if not probabilities.isfinite().all() and self._how.precision is Precision.FP16:
            # fp16 overflows where float32 does not; a score of what overflowed would be of nothing.
            probabilities = predict_image(network, image, replace(self._how, precision=Precision.FP32))
        if not probabilities.isfinite().all():
            message = (
                f"the network's output for validation case {self._cases[number].name!r} is not finite; "
                "lower optimiser.learning_rate or set precision to fp32"
            )
            raise TrainingError(message)
        pairs = zip(self._thresholds.items(), probabilities.numpy(), strict=True)
        return {region: found >= threshold for (region, threshold), found in pairs}

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
