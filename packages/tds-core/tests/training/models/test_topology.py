import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_core.training.config import Shape
from tds_core.training.models.topology import derive_topology

# What `get_pool_and_conv_props(spacing, patch, 4, 999999)` of nnU-Net 2.6 gives: factors and the first two kernels.
NNUNET = [
    ((128, 128, 128), (1.0, 1.0, 1.0), (32, 32, 32), ((3, 3, 3), (3, 3, 3))),
    ((64, 192, 160), (5.0, 0.7, 0.7), (8, 32, 32), ((1, 3, 3), (1, 3, 3))),
    ((16, 320, 320), (3.0, 0.6, 0.6), (4, 64, 64), ((1, 3, 3), (1, 3, 3))),
    ((28, 256, 256), (2.5, 0.8, 0.8), (4, 64, 64), ((1, 3, 3), (3, 3, 3))),
    ((40, 56, 40), (1.0, 1.0, 1.0), (8, 8, 8), ((3, 3, 3), (3, 3, 3))),
    ((160, 96, 24), (1.0, 1.0, 3.0), (16, 16, 4), ((3, 3, 1), (3, 3, 3))),
]
SIZES = st.tuples(*[st.integers(1, 256)] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.0, 5.0])] * 3)


@pytest.mark.parametrize(("patch", "spacing", "factors", "kernels"), NNUNET)
def test_topology_is_that_of_nnunet(
    patch: Shape, spacing: tuple[float, float, float], factors: Shape, kernels: tuple[Shape, Shape]
) -> None:
    topology = derive_topology(patch, spacing)
    assert topology.factors == factors
    assert topology.kernels[:2] == kernels
    assert topology.kernels[-1] == (3, 3, 3)


@given(patch=SIZES, spacing=SPACINGS)
def test_first_level_is_not_halved_and_every_level_has_a_kernel(
    patch: Shape, spacing: tuple[float, float, float]
) -> None:
    topology = derive_topology(patch, spacing)
    assert topology.strides[0] == (1, 1, 1)
    assert len(topology.strides) == len(topology.kernels)
    assert all(max(stride) == 2 for stride in topology.strides[1:])
    assert all(n // f >= 1 for n, f in zip(patch, topology.factors, strict=True) if f > 1)


@given(patch=SIZES, spacing=SPACINGS, scale=st.sampled_from([0.1, 10.0]))
def test_only_the_ratios_of_spacing_matter(patch: Shape, spacing: tuple[float, float, float], scale: float) -> None:
    x, y, z = (edge * scale for edge in spacing)
    assert derive_topology(patch, (x, y, z)) == derive_topology(patch, spacing)


def test_small_patch_has_three_levels_still() -> None:
    assert derive_topology((8, 8, 8), (1.0, 1.0, 1.0)).factors == (4, 4, 4)
