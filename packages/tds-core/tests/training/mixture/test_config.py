from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tds_core import ConfigError
from tds_core.training.mixture.config import (
    DataConfig,
    NetworkConfig,
    OptimiserConfig,
    SamplingConfig,
    TrainingConfig,
    as_document,
    load_config,
    parse,
)

MINIMAL = "data:\n  cases: patients\n  validation: [a, b]\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_but_the_data_has_a_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert config == TrainingConfig(data=DataConfig(cases=Path("patients"), validation=("a", "b")))


def test_values_are_read_as_their_kinds(tmp_path: Path) -> None:
    data = "  spacing_mm: 3\n  lesion_cubes: cubes.npz\n  tumour_shapes: null\n"
    network = "network: {blocks_down: [1, 2], blocks_up: [1]}\n"
    config = load_config(write(tmp_path, MINIMAL + data + network))
    assert config.data.lesion_cubes == Path("cubes.npz")
    assert config.data.tumour_shapes is None
    assert config.network.blocks_down == (1, 2)
    assert isinstance(config.data.spacing_mm, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "sead: 1\n", "unknown key 'sead'; did you mean 'seed'?"),
        (MINIMAL + "sampling: {pach: 16}\n", r"unknown key 'sampling\.pach'; did you mean 'patch'?"),
        (MINIMAL + "network: {zzz: 1}\n", r"unknown key 'network\.zzz'; known are init_filters, blocks_down"),
        (MINIMAL + "1: 2\n", "unknown key '1'"),
        (MINIMAL + "seed: one\n", "seed must be of type int, not 'one'"),
        (MINIMAL + "seed: 1.5\n", "seed must be of type int, not 1.5"),
        (MINIMAL + "seed: true\n", "seed must be of type int, not True"),
        (MINIMAL + "optimiser: {learning_rate: false}\n", r"optimiser\.learning_rate must be of type float"),
        (MINIMAL + "optimiser: {learning_rate: fast}\n", r"optimiser\.learning_rate must be of type float"),
        (MINIMAL + "network: {blocks_down: 4}\n", r"network\.blocks_down must be a list, not 4"),
        (MINIMAL + "network: {blocks_down: [x]}\n", r"network\.blocks_down must be of type int"),
        (MINIMAL + "network: 3\n", r"network\. must be a mapping|network must be a mapping"),
        ("data: {validation: []}\n", "data lacks cases; add it"),
        ("seed: 1\n", "the configuration lacks data; add it"),
        ("- 1\n", "the configuration must be a mapping of keys to values, not list"),
        ("data: {cases: 5, validation: []}\n", r"data\.cases must be of type Path, not 5"),
        ("a: [\n", "cannot read the configuration 'recipe.yaml'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(write(tmp_path, text))
    assert isinstance(caught.value, ValueError)


def test_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration 'absent\.yaml'"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (NetworkConfig, {"init_filters": 12}, "init_filters must be a positive multiple of 8, not 12"),
        (NetworkConfig, {"blocks_down": (1, 2)}, "give one to 4 levels down and one less up"),
        (NetworkConfig, {"blocks_down": (1,) * 5, "blocks_up": (1,) * 4}, "give one to 4 levels down"),
        (NetworkConfig, {"blocks_up": (1, 0, 1)}, "blocks must be at least 1, not 0"),
        (SamplingConfig, {"patch": 60}, "patch must be a positive multiple of 8, not 60"),
        (SamplingConfig, {"patch": 0}, "patch must be a positive multiple of 8, not 0"),
        (SamplingConfig, {"batch": 0}, "batch must be at least 1, not 0"),
        (SamplingConfig, {"cube_share": 1.5}, "cube_share must be between 0 and 1, not 1.5"),
        (SamplingConfig, {"keep_all_share": float("nan")}, "keep_all_share must be between 0 and 1, not nan"),
        (OptimiserConfig, {"steps": 0}, "steps must be at least 1, not 0"),
        (OptimiserConfig, {"learning_rate": 0.0}, "learning_rate must be a finite number above 0"),
        (OptimiserConfig, {"clip_norm": float("inf")}, "clip_norm must be a finite number above 0"),
        (OptimiserConfig, {"average_decay": 1.0}, "average_decay must be between 0 and 1, not 1.0"),
    ],
)
def test_values_out_of_range_make_no_configuration(
    kind: type[NetworkConfig], values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**values)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("change", [{"seed": -1}, {"validate_every": 0}, {"checkpoint_every": 0}])
def test_run_out_of_range_is_refused(change: dict[str, int]) -> None:
    config = TrainingConfig(data=DataConfig(cases=Path(), validation=()))
    with pytest.raises(ConfigError, match=f"{next(iter(change))} must be at least"):
        replace(config, **change)


@pytest.mark.parametrize("change", [{"phantoms": -1}, {"spacing_mm": 0.0}])
def test_data_out_of_range_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        DataConfig(cases=Path(), validation=(), **change)  # type: ignore[arg-type]  # wrong on purpose


shares = st.floats(0, 1)


@given(
    st.builds(
        TrainingConfig,
        data=st.builds(
            DataConfig,
            cases=st.just(Path("a/b")),
            validation=st.lists(st.text("abc"), max_size=2).map(tuple),
            lesion_cubes=st.none() | st.just(Path("c.npz")),
            phantoms=st.integers(0, 9),
        ),
        sampling=st.builds(SamplingConfig, patch=st.integers(1, 9).map(lambda n: 8 * n), cube_share=shares),
        seed=st.integers(0, 2**32),
    )
)
def test_resolved_configuration_survives_yaml(config: TrainingConfig) -> None:
    text = yaml.safe_dump(as_document(config))
    assert parse(TrainingConfig, yaml.safe_load(text), "") == config
