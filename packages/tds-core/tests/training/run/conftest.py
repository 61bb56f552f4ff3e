from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tds_core.training.config import TrainingConfig, apply_overrides, parse
from tds_core.training.run import Listeners, RunSummary, run_training
from tds_data.phantoms import PhantomSet, write_phantoms

Resolve = Callable[..., TrainingConfig]

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"spacing_mm": 8.0, "workers": 0, "split": {"folds": 2}},
    "network": {"name": "segresnet", "options": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}},
    "sampling": {"patch": [16, 16, 16], "batch": 2, "steps_per_epoch": 2, "augmentation": "light"},
    "length": {"epochs": 2, "validate_every": 1},
    "precision": "fp32",
    "device": "cpu",
    "tracking": {"mlflow": False, "tensorboard": False, "overlays": 1},
}


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms of 4 mm voxels, as a data set."""
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    write_phantoms(folder, PhantomSet(count=3, seed=5, spacing_mm=4.0), workers=1)
    return folder


@pytest.fixture(scope="session")
def tiny(phantoms: Path) -> Resolve:
    """Gives the tiny run with some values changed."""

    def changed(*settings: str) -> TrainingConfig:
        document = apply_overrides(TINY, [f"data.datasets=[{{path: '{phantoms}'}}]", *settings])
        return parse(TrainingConfig, document)

    return changed


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Resolve) -> tuple[RunSummary, dict[str, list[Any]]]:
    """A run from phantoms to an evaluated bundle, and what was heard of it."""
    heard: dict[str, list[Any]] = {"stages": [], "work": [], "reports": []}
    listeners = Listeners(
        stage=heard["stages"].append,
        work=lambda done, total, what: heard["work"].append((done, total, what)),
        report=heard["reports"].append,
    )
    return run_training(tiny(), tmp_path_factory.mktemp("runs") / "tiny", listeners), heard
