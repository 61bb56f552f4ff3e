import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_core.training.config import Shape
from tds_core.training.models.patches import Factors, nearest_patches, patch_fault
from tds_core.training.models.topology import derive_topology

SIZES = st.tuples(*[st.integers(1, 200)] * 3)
POWERS = st.tuples(*[st.sampled_from([1, 2, 8, 16, 32])] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * 3)


def always(factors: Shape) -> Factors:
    return lambda _: factors


def derived(spacing: tuple[float, float, float]) -> Factors:
    return lambda patch: derive_topology(patch, spacing).factors


@given(patch=SIZES, factors=POWERS)
def test_nearest_patches_fit_and_enclose_the_one_that_does_not(patch: Shape, factors: Shape) -> None:
    near = nearest_patches(patch, always(factors))
    assert all(patch_fault(shape, always(factors)) is None for shape in near)
    largest = near[-1]
    assert all(n >= p for n, p in zip(largest, patch, strict=True))
    assert all(n - p <= 2 * f for n, p, f in zip(largest, patch, factors, strict=True))
    if len(near) == 2:
        assert all(p - f < n <= p for n, p, f in zip(near[0], patch, factors, strict=True))


@given(patch=SIZES, spacing=SPACINGS)
def test_there_is_a_patch_near_any_when_depth_follows_from_it(
    patch: Shape, spacing: tuple[float, float, float]
) -> None:
    near = nearest_patches(patch, derived(spacing))
    assert near
    assert all(patch_fault(shape, derived(spacing)) is None for shape in near)


@pytest.mark.parametrize(
    ("patch", "fault"),
    [
        ((16, 16, 32), None),
        ((16, 16, 16), "a single voxel"),
        ((0, 16, 16), r"x \(0\) must be a multiple of 16"),
        ((16, 17, 32), r"^y \(17\) must be a multiple of 16$"),
    ],
)
def test_fault_says_which_axis_and_why(patch: Shape, fault: str | None) -> None:
    told = patch_fault(patch, always((16, 16, 16)))
    if fault is None:
        assert told is None
    else:
        assert told is not None
        assert re.search(fault, told)


def test_network_that_never_halves_takes_a_single_voxel() -> None:
    assert patch_fault((1, 1, 1), always((1, 1, 1))) is None
