"""How much memory of the host a run takes: this process, its loader's workers, a case of validation."""

import math
from pathlib import Path
from typing import Final

from tds_core.training.config import Device, Shape, TrainingConfig
from tds_core.training.planning.fingerprint import Fingerprint
from tds_data.box import Box
from tds_data.cache import CachedCase
from tds_data.cache.cached_case import foreground_order
from tds_data.loading import PRESETS, LoaderMeans, PatchConfig, Preset
from tds_data.loading.budget import plan_memory

_PROCESS_BYTES: Final = {"cpu": 700 * 1024**2, "cuda": 3 * 1024**3}
"""What the process takes before it trains; CUDA's libraries are most of it on a GPU."""
_FLOAT_BYTES: Final = 4


def host_bytes(config: TrainingConfig, fingerprint: Fingerprint, patch: Shape, batch: int) -> int:
    """Return an estimate of what a run takes of the host's memory, the activations of training on a CPU left out.

    Args:
        config: With the voxel size that the network sees.
        fingerprint: What the data set is like.
        patch: Voxels along x, y, z.
        batch: Patches of a step.

    Raises:
        BudgetTooSmall: If data.max_loader_bytes does not do (from tds_data).
    """
    cases = _stand_ins(config, fingerprint)
    name = config.sampling.augmentation
    patches = PatchConfig(shape=patch, batch_size=batch, augmentation=None if name == "none" else PRESETS[Preset(name)])
    means = LoaderMeans(workers=config.data.workers, max_bytes=config.data.max_loader_bytes)
    loader = plan_memory(cases, patches, means).total_bytes
    task = config.goal
    # The image, its logits, their weights, and the probabilities of one mirrored copy and of all.
    numbers = len(task.channels) + config.output_channels + 1 + 2 * len(task.regions)
    case = max(math.prod(case.shape) for case in cases) * numbers * _FLOAT_BYTES
    process = _PROCESS_BYTES["cpu" if config.device is Device.CPU else "cuda"]
    return process + loader + case


def _stand_ins(config: TrainingConfig, fingerprint: Fingerprint) -> list[CachedCase]:
    """Return cases that are as large as the real ones will be in the cache."""
    edges = config.data.spacing_mm or 1.0
    spacing = edges if isinstance(edges, tuple) else (edges, edges, edges)
    task = config.goal
    made = []
    for number, (x, y, z) in enumerate(fingerprint.shapes_at(spacing).astype(int).tolist()):
        shape = (x, y, z)
        made.append(
            CachedCase(
                path=Path(),
                name=str(number),
                patient=str(number),
                phantom=False,
                modalities=task.channels,
                present=(True,) * len(task.channels),
                shape=shape,
                scale=1.0,
                labelled=True,
                counts=dict.fromkeys(foreground_order(task), 1),
                lesion_box=Box(start=(0, 0, 0), stop=shape),
                header_sha256="",
                _places={},
                task=task,
            )
        )
    return made
