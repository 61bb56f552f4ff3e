from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tds_core import ConfigError
from tds_core.training.config import LengthConfig, OptimiserConfig, Precision, parse, to_document
from tds_core.training.mixture.config import DataConfig, MixtureConfig, SamplingConfig, load_config

MINIMAL = "data:\n  cases: patients\n  validation: [a, b]\n"
RECIPES = Path(__file__).parents[5] / "tools" / "default_bundle"


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_but_the_data_has_a_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert config == MixtureConfig(data=DataConfig(cases=Path("patients"), validation=("a", "b")))


def test_values_are_read_as_their_kinds(tmp_path: Path) -> None:
    data = "  spacing_mm: 3\n  lesion_cubes: cubes.npz\n  tumour_shapes: null\n"
    config = load_config(write(tmp_path, MINIMAL + data))
    assert config.data.lesion_cubes == Path("cubes.npz")
    assert config.data.tumour_shapes is None
    assert isinstance(config.data.spacing_mm, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "sead: 1\n", "unknown key 'sead'; did you mean 'seed'?"),
        (MINIMAL + "sampling: {pach: 16}\n", r"unknown key 'sampling\.pach'; did you mean 'patch'?"),
        (MINIMAL + "seed: one\n", "seed must be of type int, not 'one'"),
        (MINIMAL + "seed: -1\n", "seed must be at least 0, not -1"),
        ("data: {validation: []}\n", "data lacks cases; add it"),
        ("seed: 1\n", "the configuration lacks data; add it"),
        ("data: {cases: 5, validation: []}\n", r"data\.cases must be of type Path, not 5"),
        ("a: [\n", "cannot read the configuration 'recipe.yaml'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch": 60}, "patch must be a positive multiple of 8, not 60"),
        ({"patch": 0}, "patch must be a positive multiple of 8, not 0"),
        ({"batch": 0}, "batch must be at least 1, not 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be at least 1, not 0"),
        ({"cube_share": 1.5}, "cube_share must be between 0 and 1, not 1.5"),
        ({"keep_all_share": float("nan")}, "keep_all_share must be between 0 and 1, not nan"),
    ],
)
def test_values_out_of_range_make_no_configuration(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SamplingConfig(**values)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("change", [{"phantoms": -1}, {"spacing_mm": 0.0}])
def test_data_out_of_range_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        DataConfig(cases=Path(), validation=(), **change)  # type: ignore[arg-type]  # wrong on purpose


def test_engine_is_told_of_the_same_run() -> None:
    config = MixtureConfig(
        data=DataConfig(cases=Path("patients"), validation=("a",), spacing_mm=3.0),
        sampling=SamplingConfig(patch=24, batch=3, steps_per_epoch=7, foreground_share=0.25),
        optimiser=OptimiserConfig(learning_rate=0.5),
        length=LengthConfig(epochs=9),
        precision=Precision.FP32,
        seed=8,
    )
    told = config.training
    assert (told.sampling.patch, told.sampling.batch, told.sampling.steps_per_epoch) == ((24, 24, 24), 3, 7)
    assert told.sampling.foreground_share == 0.25
    assert (told.optimiser, told.length, told.precision, told.seed) == (
        config.optimiser,
        config.length,
        Precision.FP32,
        8,
    )
    assert told.data.split.names == ("a",)
    assert told.data.spacing_mm == 3.0
    assert told.output_channels == 3


@pytest.mark.parametrize("name", ["recipe.yaml", "recipe_whole_head.yaml"])
def test_recipes_of_the_default_bundle_can_be_read(name: str) -> None:
    if not RECIPES.is_dir():
        pytest.skip("the recipes are not installed with the package")
    config = load_config(RECIPES / name)
    assert config.data.validation
    assert config.training.optimiser.average_decay == 0.998


shares = st.floats(0, 1)


@given(
    st.builds(
        MixtureConfig,
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
def test_resolved_configuration_survives_yaml(config: MixtureConfig) -> None:
    text = yaml.safe_dump(to_document(config))
    assert parse(MixtureConfig, yaml.safe_load(text)) == config
