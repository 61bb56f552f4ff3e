import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tds_core.errors import ConfigError
from tds_core.training.config import TrainingConfig
from tds_core.training.models import check_patch
from tds_core.training.planning import Fingerprint, Load, Plan, apply_plan, check_plan, estimate_memory, make_plan
from tds_data.task import LIVER_TUMOUR

Like = Callable[..., Fingerprint]
Configured = Callable[..., TrainingConfig]
GIB = 1024**3


def assert_sound(plan: Plan, config: TrainingConfig) -> None:
    """Whatever is planned fits, by a count that is made anew, and can be built."""
    applied = apply_plan(config, plan)
    check_patch(applied.network, plan.patch)
    load = Load(patch=plan.patch, micro_batch=plan.micro_batch or plan.batch)
    assert estimate_memory(applied, load).total <= plan.vram_target_bytes
    assert check_plan(plan, applied) == ()
    assert set(plan.reasons) == {"spacing_mm", "patch", "network", "batch", "memory"}
    assert all(sentence.endswith(".") for sentences in plan.reasons.values() for sentence in sentences)


def test_nnunets_network_gets_about_nnunets_patch_for_brains(like: Like, configured: Configured) -> None:
    config = configured("network.name=dynunet")
    plan = make_plan(like((140, 173, 137)), config, 8 * GIB)
    assert_sound(plan, config)
    assert plan.batch == 2
    assert math.prod(plan.patch) == pytest.approx(128 * 160 * 112, rel=0.25)
    assert [len(plan.options[key]) for key in ("strides", "kernels")] == [6, 6]  # type: ignore[arg-type]


def test_less_memory_gives_smaller_patches(like: Like, configured: Configured) -> None:
    config = configured()
    plans = [make_plan(like(), config, n * GIB) for n in (3, 6)]
    for plan in plans:
        assert_sound(plan, config)
        assert plan.memory["total"] > 0.6 * plan.vram_target_bytes
    assert math.prod(plans[0].patch) < math.prod(plans[1].patch)


def test_small_cases_get_one_patch_each_and_larger_batches(like: Like, configured: Configured) -> None:
    config = configured("network.options.init_filters=8")
    plan = make_plan(like((40, 44, 36), cases=200), config, 4 * GIB)
    assert_sound(plan, config)
    assert plan.patch == (40, 48, 40)
    assert 2 < plan.batch <= 32
    few = make_plan(like((40, 44, 36), cases=6), config, 4 * GIB)
    assert few.batch == 2
    assert any("6 cases with a mask" in warning for warning in few.warnings)


def test_tiny_cases_make_networks_shallower_and_are_told_of(like: Like, configured: Configured) -> None:
    for name in ("segresnet", "unet", "dynunet"):
        config = configured(f"network.name={name}")
        plan = make_plan(like((30, 34, 6)), config, 8 * GIB)
        assert_sound(plan, config)
        assert plan.patch[2] <= 16
        assert any("6 voxels along z" in warning for warning in plan.warnings)
    assert any(
        "levels" in sentence for sentence in make_plan(like((30, 34, 6)), configured(), 8 * GIB).reasons["network"]
    )


def test_huge_cases_are_told_of(like: Like, configured: Configured) -> None:
    config = configured("task=liver-tumour")
    plan = make_plan(like((500, 500, 800), (0.8, 0.8, 1.0), task=LIVER_TUMOUR), config, 8 * GIB)
    assert_sound(plan, config)
    assert any("of the median case" in warning and "larger voxels" in warning for warning in plan.warnings)


def test_anisotropic_cases_get_flat_patches_and_kernels(like: Like, configured: Configured) -> None:
    config = configured("network.name=dynunet")
    plan = make_plan(like((260, 300, 24), (0.7, 0.7, 6.0)), config, 8 * GIB)
    assert_sound(plan, config)
    assert plan.spacing_mm == (0.7, 0.7, 6.0)
    assert plan.patch[2] < plan.patch[0] / 4
    assert plan.options["kernels"][0] == [3, 3, 1]  # type: ignore[index]
    assert plan.options["strides"][1] == [2, 2, 1]  # type: ignore[index]


def test_what_the_configuration_sets_stays(like: Like, configured: Configured) -> None:
    config = configured(
        "data.spacing_mm=2", "sampling.patch=[64, 64, 64]", "sampling.batch=3", "network.options.init_filters=24"
    )
    plan = make_plan(like(), config, 8 * GIB)
    assert_sound(plan, config)
    assert (plan.spacing_mm, plan.patch, plan.batch) == ((2.0, 2.0, 2.0), (64, 64, 64), 3)
    assert plan.options == {"init_filters": 24}
    assert all("set in the configuration" in plan.reasons[key][0] for key in ("spacing_mm", "patch", "batch"))


def test_batch_that_is_set_and_does_not_fit_at_once_is_accumulated(like: Like, configured: Configured) -> None:
    config = configured("sampling.patch=[96, 96, 96]", "sampling.batch=16")
    plan = make_plan(like(), config, 6 * GIB)
    assert_sound(plan, config)
    assert plan.batch == 16
    assert plan.micro_batch is not None
    assert plan.micro_batch < 16


def test_patch_that_is_set_and_does_not_fit_is_planned_with_a_warning(like: Like, configured: Configured) -> None:
    config = configured("sampling.patch=[160, 160, 160]", "sampling.batch=2")
    plan = make_plan(like(), config, 2 * GIB)
    assert plan.micro_batch == 1
    assert any("more than the target" in warning for warning in plan.warnings)
    with pytest.raises(ConfigError, match="nearest"):
        make_plan(like(), configured("sampling.patch=[97, 96, 96]"), 8 * GIB)


def test_network_is_made_narrower_before_patches_get_small(like: Like, configured: Configured) -> None:
    config = configured("network.name=mednext")
    plan = make_plan(like(), config, 6 * GIB)
    assert_sound(plan, config)
    assert math.prod(plan.patch) >= 96**3
    assert plan.options["channels"] == 16 or plan.micro_batch == 1


def test_network_that_does_not_fit_at_all_is_an_error_with_numbers(like: Like, configured: Configured) -> None:
    with pytest.raises(ConfigError, match=r"does not fit into 0\.7 GiB.*still needs about 0\.\d"):
        make_plan(like(), configured("network.name=segresnet"), int(0.7 * GIB))


def test_fixed_size_network_is_planned(like: Like, configured: Configured) -> None:
    config = configured("network.name=unetr")
    plan = make_plan(like(), config, 8 * GIB)
    assert_sound(plan, config)
    assert all(n % 16 == 0 for n in plan.patch)


def test_label_or_channel_that_no_case_has_is_named(like: Like, configured: Configured) -> None:
    data = like((40, 40, 40), without_label="ET", without_channel="t2", phantoms=20)
    warnings = make_plan(data, configured("network.options.init_filters=8"), 8 * GIB).warnings
    assert any("label ET" in warning for warning in warnings)
    assert any("channel t2" in warning for warning in warnings)
    assert any("20 of 20 cases are synthetic" in warning for warning in warnings)


def test_one_case_is_planned_for_and_told_of(like: Like, configured: Configured) -> None:
    config = configured("network.options.init_filters=8")
    plan = make_plan(like((40, 40, 40), cases=1), config, 8 * GIB)
    assert_sound(plan, config)
    assert any("There is one case" in warning for warning in plan.warnings)


def test_uneven_voxels_are_told_of(like: Like, configured: Configured) -> None:
    data = like((40, 40, 40), spacings=[(1.0, 1.0, 1.0)] * 8 + [(1.0, 1.0, 6.0)] * 4)
    warnings = make_plan(data, configured("network.options.init_filters=8"), 8 * GIB).warnings
    assert any("6.0 times as long as the shortest along z" in warning for warning in warnings)


def test_changed_plan_is_checked_with_numbers(like: Like, configured: Configured) -> None:
    config = configured()
    plan = replace(make_plan(like((64, 64, 64)), config, 3 * GIB), patch=(192, 192, 192))
    (sentence,) = check_plan(plan, apply_plan(config, plan))
    assert "[192, 192, 192]" in sentence
    assert "GiB" in sentence
    limited = replace(config, safety=replace(config.safety, max_vram_bytes=4 * GIB))
    with pytest.raises(ConfigError, match=r"max_vram_bytes is 4\.0 GiB"):
        check_plan(plan, apply_plan(limited, plan))
    odd = replace(plan, patch=(191, 192, 192))
    with pytest.raises(ConfigError, match="nearest"):
        check_plan(odd, apply_plan(config, odd))
