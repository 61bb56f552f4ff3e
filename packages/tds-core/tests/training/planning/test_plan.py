from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tds_core.errors import ConfigError
from tds_core.training.config import TrainingConfig
from tds_core.training.planning import Plan, apply_plan, plan_text, read_plan, write_plan

Configured = Callable[..., TrainingConfig]
PLAN = Plan(
    network="dynunet",
    spacing_mm=(1.0, 1.0, 2.5),
    patch=(96, 96, 32),
    batch=4,
    micro_batch=2,
    options={"channels": 32, "residual": True, "strides": [[1, 1, 1], [2, 2, 1]]},
    memory={"total": 12},
    data={"labelled": 3, "spacing_mm": {"median": [1.0, 1.0, 2.5]}, "nothing": None},
    reasons={"patch": ("It fits.", "It is large.")},
    warnings=("Look at it.",),
)


def test_plan_survives_its_file(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.yaml")
    assert read_plan(tmp_path / "plan.yaml") == PLAN
    text = (tmp_path / "plan.yaml").read_text()
    assert text.startswith("# What to train with")
    assert "patch: [96, 96, 32]" in text
    assert "  - It fits.\n  - It is large." in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pach": [1, 2, 3]}, "unknown key 'pach'; did you mean 'patch'"),
        ({"patch": [96, 96]}, "patch must be a list of 3"),
        ({"patch": [96, 0, 96]}, "patch y must be"),
        ({"batch": 0}, "batch must be"),
        ({"micro_batch": 5}, "micro_batch must be between 1 and 4"),
        ({"spacing_mm": [1, -1, 1]}, "spacing y must be"),
        ({"format": 2}, "format 2"),
        ({"reasons": ["no"]}, "reasons must be a mapping"),
    ],
)
def test_changed_plan_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    document = {**yaml.safe_load(plan_text(PLAN)), **change}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=message):
        read_plan(tmp_path / "plan.yaml")


def test_plan_of_a_few_lines_will_do(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("network: unet\nspacing_mm: [1, 1, 1]\npatch: [32, 32, 32]\nbatch: 2\n")
    assert read_plan(tmp_path / "plan.yaml").options == {}


def test_plan_fills_in_what_is_left_open(configured: Configured) -> None:
    config = apply_plan(configured("network.name=dynunet", "network.options.channels=16"), PLAN)
    assert config.data.spacing_mm == (1.0, 1.0, 2.5)
    assert (config.sampling.patch, config.sampling.batch, config.sampling.micro_batch) == ((96, 96, 32), 4, 2)
    assert config.network.options == {**PLAN.options, "channels": 16}


def test_what_is_set_goes_before_the_plan(configured: Configured) -> None:
    given = configured("network.name=dynunet", "data.spacing_mm=3", "sampling.patch=[64, 64, 64]", "sampling.batch=1")
    config = apply_plan(given, PLAN)
    assert config.data == given.data
    assert config.sampling == given.sampling
    assert apply_plan(configured("network.name=dynunet", "sampling.micro_batch=1"), PLAN).sampling.micro_batch == 1


def test_no_more_go_through_at_once_than_was_planned_for(configured: Configured) -> None:
    for batch, micro in ((1, None), (2, None), (4, 2), (16, 2)):
        config = apply_plan(configured("network.name=dynunet", f"sampling.batch={batch}"), PLAN)
        assert (config.sampling.batch, config.sampling.micro_batch) == (batch, micro)
    whole = apply_plan(configured("network.name=dynunet", "sampling.batch=16"), replace(PLAN, micro_batch=None))
    assert whole.sampling.micro_batch == 4


def test_plan_for_another_network_is_refused(configured: Configured) -> None:
    with pytest.raises(ConfigError, match="is for the network 'dynunet', and the configuration names 'segresnet'"):
        apply_plan(configured(), PLAN)
    assert apply_plan(configured("network.name=dynunet"), replace(PLAN, micro_batch=None)).sampling.micro_batch is None
