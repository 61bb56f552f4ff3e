from collections.abc import Callable
from pathlib import Path

import pytest

from tds_core import ConfigError
from tds_core.training.config import TrainingConfig
from tds_core.training.distributed import World
from tds_core.training.run.learning import check_learning

Resolve = Callable[..., TrainingConfig]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sampling.patch=[16, 16, 17]"], r"a patch of \[16, 16, 17\] does not fit"),
        (["network.options.init_filter=8"], "did you mean 'init_filters'"),
        (["sampling.patch=null", "network.options.init_filter=8"], "did you mean 'init_filters'"),
        (["network.name=unetr", "network.options={}", "network.deep_supervision=true"], "has no deep supervision"),
        (["loss.name=focl"], "did you mean 'focal'"),
        (["network.weights=/nowhere"], "there is no bundle with readable weights at '/nowhere'"),
        (["network={name: dints_search}", "sampling={patch: [32, 32, 32], batch: 3}"], "give an even number"),
    ],
)
def test_what_cannot_be_built_is_refused_before_data_are_prepared(
    tiny: Resolve, settings: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_learning(tiny(*settings), World())


def test_what_can_be_built_passes(tiny: Resolve, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").touch()
    check_learning(tiny(f"network.weights={tmp_path}"), World())
    check_learning(tiny("sampling.patch=null", "sampling.batch=null"), World())
