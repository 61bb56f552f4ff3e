from collections.abc import Callable
from pathlib import Path

import pytest

from tds_core import load_bundle
from tds_core.training.config import TrainingConfig
from tds_core.training.run import run_training, with_absolute_paths

pytest.importorskip("matplotlib")

Resolve = Callable[..., TrainingConfig]


@pytest.mark.slow
def test_architecture_that_a_search_finds_is_trained(tiny: Resolve, tmp_path: Path) -> None:
    search = tiny(
        "network={name: dints_search, options: {channels: 4, blocks: 2, depths: 2, downsample: true}}",
        "optimiser.average_decay=null",
        "data.split.names=[phantom-0005]",
    )
    found = run_training(search, tmp_path / "search")
    assert found.outcome.status == "finished"
    assert (found.bundle, found.scores) == (None, ())
    assert found.architecture == tmp_path / "search" / "architecture.yaml"
    retrain = tiny("network={name: dints, options: {architecture: search/architecture.yaml}}", "length.epochs=1")
    summary = run_training(with_absolute_paths(retrain, tmp_path), tmp_path / "retrain")
    assert summary.bundle is not None
    bundle = load_bundle(summary.bundle.folder, trusted=[summary.bundle.sha256])
    assert bundle.identity.architecture == "dints"
    assert summary.scores
    found.architecture.unlink()  # the run and its bundle hold the architecture themselves
    assert run_training(with_absolute_paths(search, tmp_path), tmp_path / "search").architecture is not None
