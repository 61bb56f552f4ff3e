import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tds_data.phantoms.exact import (
    along_axis,
    exp,
    filtered,
    gaussian,
    gaussian_kernel,
    normals,
    settled,
    settled_array,
)


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_exponential_is_that_of_numpy() -> None:
    values = np.linspace(-80, 80, 100_001, dtype=np.float32)
    np.testing.assert_allclose(exp(values), np.exp(values.astype(np.float64)), rtol=2e-7)


def test_exponential_beyond_its_range_stays_finite() -> None:
    ends = exp(np.array([-1e9, 1e9], np.float32))
    assert np.isfinite(ends).all()
    assert ends[0] < 1e-30
    assert ends[1] > 1e30


def test_exponential_leaves_its_input_alone() -> None:
    values = drawn(0, 10)
    before = values.copy()
    exp(values)
    np.testing.assert_array_equal(values, before)


@given(st.floats(-1e12, 1e12, allow_subnormal=False), st.integers(-3, 3))
def test_last_bits_do_not_change_a_settled_number(value: float, ulps: int) -> None:
    if abs(value) < 1e-200:
        value = 0.0
    nearby = value
    for _ in range(abs(ulps)):
        nearby = float(np.nextafter(nearby, np.inf if ulps > 0 else -np.inf)) if value else 0.0
    assert settled(settled(value)) == settled(value)
    assert settled(nearby) == pytest.approx(settled(value), rel=2**-29)
    assert settled(value) == pytest.approx(value, rel=2**-29)


def test_settled_arrays_lie_on_a_grid() -> None:
    values = np.array([1 / 3, -0.7, 0.0])
    np.testing.assert_array_equal(settled_array(values + 1e-13), settled_array(values))
    np.testing.assert_allclose(settled_array(values, 8), values, atol=2**-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_taps_are_a_sparse_matrix_product(axis: int) -> None:
    values = drawn(1, 5, 6, 7)
    size = values.shape[axis]
    rng = np.random.default_rng(2)
    taps = tuple((rng.integers(size, size=9), rng.random(9).astype(np.float32)) for _ in range(3))
    matrix = np.zeros((9, size))
    for index, weight in taps:
        np.add.at(matrix, (np.arange(9), index), weight)
    expected = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    np.testing.assert_allclose(along_axis(values, axis, taps), expected, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kernel", [[0.5, 0.25], [1.1, 0.1, -0.1], [0.2] * 6])
def test_filter_is_that_of_scipy(axis: int, kernel: list[float]) -> None:
    values = drawn(3, 4, 5, 6)
    both = np.array(kernel[:0:-1] + kernel)
    expected = ndimage.correlate1d(values, both, axis=axis, mode="nearest")
    np.testing.assert_allclose(filtered(values, np.array(kernel), axis), expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.0])
def test_gaussian_is_that_of_scipy(sigma: float) -> None:
    values = drawn(4, 20, 21, 22)
    expected = ndimage.gaussian_filter(values, sigma, radius=max(1, round(3 * sigma)), mode="nearest")
    np.testing.assert_allclose(gaussian(values, (sigma,) * 3), expected, atol=1e-5)
    side = gaussian_kernel(sigma)
    assert side[0] + 2 * side[1:].sum() == pytest.approx(1)


def test_tiny_gaussian_does_nothing() -> None:
    values = drawn(5, 3, 3, 3)
    np.testing.assert_array_equal(gaussian(values, (0.1, 0.0, 0.19)), values)


def test_normals_are_standard_normal() -> None:
    values = normals(np.random.default_rng(0), (50, 50, 40))
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.02
    assert values.std() == pytest.approx(1, abs=0.01)
