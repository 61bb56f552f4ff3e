import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tds_core import ConfigError
from tds_core.training.config import (
    BRAIN_TUMOUR,
    Heads,
    Precision,
    TrainingConfig,
    apply_overrides,
    load_config,
    parse,
    read_document,
    to_document,
)

LEAST: dict[str, Any] = {"name": "run", "data": {"datasets": [{"phantoms": 3}]}}


def resolve(*settings: str) -> TrainingConfig:
    return parse(TrainingConfig, apply_overrides(LEAST, settings))


def test_what_is_left_out_gets_its_default() -> None:
    config = resolve()
    assert (config.goal, config.precision, config.network.heads) == (BRAIN_TUMOUR, Precision.BF16, Heads.REGIONS)
    assert config.data.datasets[0].phantoms == 3


def test_resolved_configuration_reads_back_as_itself(tmp_path: Path) -> None:
    config = resolve("data.datasets.0.phantoms=5", "data.spacing_mm=[1,1,2.5]", "sampling.patch=[64,64,32]")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(to_document(config)))
    assert load_config(tmp_path / "config.yaml") == config


def test_own_task_reads_back_as_itself(tmp_path: Path) -> None:
    task = "{name: knees, channels: [pd], labels: [bone, tumour], regions: {all: [1, 2], tumour: [2]}}"
    config = resolve(f"task={task}", "network.heads=classes")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(to_document(config)))
    again = load_config(tmp_path / "config.yaml")
    assert again.goal == config.goal
    assert again.output_channels == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lenght.epochs=2", "unknown key 'lenght'; did you mean 'length'?"),
        ("optimiser.learningrate=1", "unknown key 'optimiser.learningrate'; did you mean 'learning_rate'?"),
        ("schedule.name=cosin", "schedule: schedule.name cannot be 'cosin'; did you mean 'cosine'?"),
        ("precision=bf61", "precision cannot be 'bf61'; did you mean 'bf16'?"),
        ("precision=double", "precision cannot be 'double'; known are fp32, bf16, fp16"),
        ("task=brain-tumor", "task cannot be 'brain-tumor'; did you mean 'brain-tumour'?"),
        ("task=7", "task must be of type str, not 7"),
        ("task={name: x, channels: [a], labels: [b], regions: {}}", "task: task 'x' needs regions"),
        ("data.datasets=[]", "name at least one data set in data.datasets"),
        ("data.datasets.0.path=/x", "give exactly one of the two"),
        ("data.datasets.0.phantoms=0", "phantoms must be at least 1, not 0"),
        ("data.split.fold=5", "fold must be between 0 and 4, not 5"),
        ("data.spacing_mm=[1,1]", "data.spacing_mm must be of type float, not [1, 1]"),
        ("data.spacing_mm=0", "spacing_mm must be a finite number above 0, not 0"),
        ("sampling.patch=[64,64]", "sampling.patch must be a list of 3, not [64, 64]"),
        ("sampling.patch=64", "sampling.patch must be a list, not 64"),
        ("sampling.batch=0", "batch must be at least 1, not 0"),
        ("sampling.augmentation=hevy", "augmentation cannot be 'hevy'; did you mean 'heavy'?"),
        ("optimiser.learning_rate=fast", "optimiser.learning_rate must be of type float, not 'fast'"),
        ("optimiser.learning_rate=-1", "optimiser: learning_rate must be a finite number above 0, not -1"),
        ("optimiser.momentum=1", "momentum must be between 0 and 1, not 1"),
        ("seed=true", "seed must be of type int, not True"),
        ("network.options=3", "network.options must be a mapping, not 3"),
        ("network=unet", "network must be a mapping of keys to values, not str"),
        ("inference.thresholds={WT: 2}", "WT must be between 0 and 1, not 2"),
        ("safety.nan_rate_factor=1.5", "nan_rate_factor must be between 0 and 1"),
        ("length.patience=0", "patience must be at least 1, not 0"),
        ("length.min_rise=.nan", "length: min_rise must be at least 0, not nan"),
        ("schedule.threshold=-1", "schedule: threshold must be at least 0, not -1"),
        ("inference.mirror=[3]", "inference: mirror names axes, each once: 0 for x, 1 for y, 2 for z; [3] was given"),
        ("inference.mirror=[0,0]", "mirror names axes, each once"),
        ("inference.thresholds={TD: 0.4}", "a region in inference.thresholds cannot be 'TD'; known are WT, TC, ET"),
        ("sampling.region_weights={tumour: 1}", "a region in sampling.region_weights cannot be 'tumour'; known are"),
        ("sampling.region_weights={WT: -1}", "sampling: WT must be at least 0, not -1"),
        ("sampling.region_weights={WT: 0}", "region_weights are all 0"),
        ("loss.class_weights=[1, 2]", "loss.class_weights has 2 weights for 3 outputs; give one for each"),
        ("name=a/b", "name is what folders are called: give it letters and no slash, not 'a/b'"),
        ("name=..", "name is what folders are called"),
        ("name=''", "name is what folders are called"),
    ],
)
def test_bad_value_is_named_with_what_would_do(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve(setting)


def test_number_with_an_exponent_is_a_number() -> None:
    assert resolve("optimiser.learning_rate=1e-3").optimiser.learning_rate == 0.001


def test_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="the configuration lacks data; add it"):
        parse(TrainingConfig, {"name": "run"})


def test_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"cannot read the configuration 'c\.yaml'"):
        load_config(tmp_path / "c.yaml")


def test_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("name: run\ndata:\n  datasets: [{phantoms: 3}]\n  workers: 1\n  workers: 2\n")
    with pytest.raises(ConfigError, match="the key 'workers' comes twice"):
        load_config(tmp_path / "c.yaml")


def test_file_that_is_not_there_is_told_with_where_to_find_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration at '.*none\.yaml'; check the path"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"there is no file '.*none\.yaml'"):
        read_document(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "write KEY=VALUE"),
        ("=3", "write KEY=VALUE"),
        ("seed=[", "is no YAML value"),
        ("data.datasets.7.phantoms=3", "there is no '7' in it to set"),
        ("data.datasets.first.phantoms=3", "there is no 'first' in it to set"),
    ],
)
def test_setting_that_cannot_be_is_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        apply_overrides(LEAST, [setting])


def test_settings_leave_what_they_were_given_alone() -> None:
    before = yaml.safe_dump(LEAST)
    changed = apply_overrides(LEAST, ["data.datasets.0={phantoms: 9}", "length.epochs=2"])
    assert isinstance(changed, dict)
    assert changed["data"]["datasets"] == [{"phantoms": 9}]
    assert yaml.safe_dump(LEAST) == before
