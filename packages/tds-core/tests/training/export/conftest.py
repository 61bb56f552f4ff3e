from pathlib import Path

import pytest
import torch
from torch import nn

from tds_core import Bundle, load_bundle
from tds_core.training.config import (
    BRAIN_TUMOUR,
    LIVER_TUMOUR,
    DataConfig,
    DatasetConfig,
    Heads,
    InferenceConfig,
    NetworkConfig,
    SamplingConfig,
    Task,
    TrainingConfig,
)
from tds_core.training.engine.protocols import CaseDice
from tds_core.training.export import DatasetFacts, PackedBundle, TrainingFacts, export_bundle
from tds_core.training.models import build_network

SMALL = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}


def make_config(task: Task = BRAIN_TUMOUR, **network: object) -> TrainingConfig:
    """A small run at 4 mm of what is asked for."""
    settings: dict[str, object] = {"options": SMALL}
    regions = list(task.regions)
    return TrainingConfig(
        name=f"small-{task.name}",
        task=task,
        data=DataConfig(datasets=(DatasetConfig(path=Path("/home/someone/secret/BraTS")),), spacing_mm=4.0),
        network=NetworkConfig(**{**settings, **network}),  # type: ignore[arg-type]  # from a table
        sampling=SamplingConfig(patch=(32, 32, 32), batch=1),
        inference=InferenceConfig(thresholds={regions[0]: 0.4}, min_lesion_ml=0.05, mirror=(0,)),
    )


def liver_config() -> TrainingConfig:
    options = {"feature_size": 4, "hidden_size": 24, "mlp_size": 32, "heads": 2}
    return make_config(LIVER_TUMOUR, name="unetr", options=options, heads=Heads.CLASSES)


def new_network(config: TrainingConfig, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    patch = config.sampling.patch
    assert patch is not None
    channels = len(config.goal.channels)
    return build_network(config.network, in_channels=channels, out_channels=config.output_channels, patch=patch)


def facts(task: Task = BRAIN_TUMOUR, *, phantoms: int = 3) -> TrainingFacts:
    cases = [("phantom-1", True)] if phantoms else [("patient-1", False)]
    return TrainingFacts(
        steps=12,
        datasets=(
            DatasetFacts(
                name="set", training=2, validation=1, phantoms=phantoms, licence="CC0-1.0", manifest_sha256="ab"
            ),
        ),
        data_sha256="cd" * 32,
        validation=tuple(CaseDice(case=c, phantom=p, dice=dict.fromkeys(task.regions, 0.125)) for c, p in cases),
        chosen_by_validation=True,
    )


def opened(packed: PackedBundle) -> Bundle:
    return load_bundle(packed.folder, trusted=[packed.sha256])


class Making:
    """Makes what tests export."""

    config = staticmethod(make_config)
    liver_config = staticmethod(liver_config)
    network = staticmethod(new_network)
    facts = staticmethod(facts)
    opened = staticmethod(opened)


@pytest.fixture(scope="session")
def making() -> type[Making]:
    return Making


@pytest.fixture(scope="session")
def brain(tmp_path_factory: pytest.TempPathFactory) -> PackedBundle:
    """A brain-tumour model with random weights, sigmoid heads and any size."""
    config = make_config()
    return export_bundle(new_network(config), config, tmp_path_factory.mktemp("brain") / "bundle", facts=facts())


@pytest.fixture(scope="session")
def brain_twin(tmp_path_factory: pytest.TempPathFactory) -> PackedBundle:
    """The same network with other random weights."""
    config = make_config()
    target = tmp_path_factory.mktemp("twin") / "bundle"
    return export_bundle(new_network(config, seed=1), config, target, facts=facts(phantoms=0))


@pytest.fixture(scope="session")
def liver(tmp_path_factory: pytest.TempPathFactory) -> PackedBundle:
    """A model of livers in CT with softmax heads that takes one size only."""
    config = liver_config()
    target = tmp_path_factory.mktemp("liver") / "bundle"
    return export_bundle(new_network(config), config, target, facts=facts(LIVER_TUMOUR, phantoms=0))
