from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tds_core import ConfigError
from tds_core.training.config import load_config
from tds_core.training.distributed import World
from tds_core.training.models import build_network, model_facts
from tds_core.training.optimisers import build_optimiser
from tds_core.training.run import with_absolute_paths
from tds_core.training.run.datasets import open_datasets
from tds_core.training.run.learning import check_learning
from tds_core.training.schedules import RateSchedule

RECIPES = Path(__file__).parents[5] / "examples" / "recipes"
ALL = sorted(RECIPES.glob("*.yaml"))
WANTED = {
    "unetr_multimodal",
    "segresnet",
    "swinunetr",
    "mednext",
    "dints_search",
    "dints_retrain",
    "quick_phantom",
    "cpu_small",
    "lits",
    "hecktor",
    "several_datasets",
}

pytestmark = pytest.mark.skipif(not ALL, reason="the recipes of the repository are not here")


def test_every_recipe_is_there_and_in_the_table() -> None:
    names = {path.stem for path in ALL}
    assert names >= WANTED
    text = (RECIPES / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("recipe", ALL, ids=lambda path: path.stem)
def test_recipe_is_named_as_its_file_and_can_be_built(recipe: Path) -> None:
    config = load_config(recipe)
    assert config.name == recipe.stem
    if config.network.name == "dints":
        pytest.skip("its architecture comes from a search; see the next test")
    check_learning(config, World())
    patch = config.sampling.patch or (96, 96, 96)
    narrow = {"channels": 4} if config.network.name == "dints_search" else {}
    asked = replace(config.network, options={**config.network.options, **narrow})
    # Without memory, where the network does not look at its own numbers while it is built.
    with torch.device("cpu" if config.network.name in {"swin_unetr", "dints_search"} else "meta"):
        network = build_network(
            asked, in_channels=len(config.goal.channels), out_channels=config.output_channels, patch=patch
        )
    assert model_facts(config.network.name).paper
    assert build_optimiser(config.optimiser, network).param_groups
    steps = config.length.epochs * config.sampling.steps_per_epoch
    schedule = RateSchedule(config.schedule, peak=config.optimiser.learning_rate, total_steps=steps)
    assert 0 < schedule.rate(1) <= config.optimiser.learning_rate
    assert schedule.rate(steps) <= config.optimiser.learning_rate


def test_retraining_without_a_search_says_what_is_missing(tmp_path: Path) -> None:
    recipe = RECIPES / "dints_retrain.yaml"
    with pytest.raises(ConfigError, match=r"architecture\.yaml"):
        with_absolute_paths(load_config(recipe), tmp_path)


@pytest.mark.parametrize("recipe", ALL, ids=lambda path: path.stem)
def test_recipe_whose_data_are_not_there_says_which_key_to_set(recipe: Path, tmp_path: Path) -> None:
    config = load_config(recipe)
    if all(source.path is None for source in config.data.datasets):
        pytest.skip("its patients are phantoms")
    places = [replace(source, path=source.path and tmp_path / source.path) for source in config.data.datasets]
    absent = [f"data.datasets.{number}.path" for number, source in enumerate(places) if source.path]
    placed = replace(config, data=replace(config.data, datasets=tuple(places)))
    with pytest.raises(ConfigError, match=rf"there is no data set at .*; set {', '.join(absent)} to a folder or manif"):
        open_datasets(placed, tmp_path, lambda _done, _total, _what: None)
