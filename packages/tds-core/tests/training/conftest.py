from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tds_core.training.config import LengthConfig, NetworkConfig, OptimiserConfig, SafetyConfig, ScheduleConfig
from tds_core.training.mixture.augment import Sources
from tds_core.training.mixture.config import DataConfig, MixtureConfig, SamplingConfig
from tds_core.training.mixture.samples import Cube, Sample


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Sums round alike only in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_sample(seed: int, shape: tuple[int, int, int] = (24, 28, 20)) -> Sample:
    """A noisy ellipsoid with three nested balls of tumour beside its middle."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    head = x**2 + y**2 + z**2 < 0.8
    distance = (x - 0.2) ** 2 + y**2 + z**2
    image = (rng.normal(size=(4, *shape)) * head).astype(np.float32)
    image[:, distance < 0.2] += 2
    regions = np.stack([distance < limit for limit in (0.2, 0.1, 0.05)]).astype(np.float32)
    return Sample(
        name=f"patient-{seed}", image=torch.from_numpy(image), regions=torch.from_numpy(regions), origin=(0, 0, 0)
    )


def make_cube(seed: int, *, complete: bool = True) -> Cube:
    """A lesion with known label statistics; without ET if it is not complete."""
    sample = make_sample(seed, (16, 16, 16))
    mean = np.arange(12, dtype=np.float32).reshape(3, 4) / 4
    if not complete:
        mean[2] = np.nan
    return Cube(image=sample.image, regions=sample.regions, label_mean=mean, label_std=np.abs(mean) / 10)


@pytest.fixture(scope="session")
def sources() -> Sources:
    outline = make_sample(9).regions
    stock = (torch.stack([outline, outline.flip(1)]) * 255).round().to(torch.uint8)
    return Sources(
        patients=(make_sample(1), make_sample(2)),
        phantoms=(make_sample(3),),
        cubes=(make_cube(4), make_cube(5, complete=False)),
        outlines=(stock, stock),
    )


@pytest.fixture
def config() -> MixtureConfig:
    return MixtureConfig(
        data=DataConfig(cases=Path("cases"), validation=("patient-2",)),
        network=NetworkConfig(options={"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}),
        sampling=SamplingConfig(
            patch=16, batch=2, steps_per_epoch=2, phantom_share=0.2, cube_share=0.4, shape_share=0.3
        ),
        optimiser=OptimiserConfig(learning_rate=2e-3, clip_norm=5.0),
        schedule=ScheduleConfig(warmup_steps=2),
        length=LengthConfig(epochs=2, validate_every=1),
        safety=SafetyConfig(min_free_disk_bytes=0),
        seed=3,
    )
