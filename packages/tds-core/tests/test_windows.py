import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_core import ConfigError
from tds_core.windows import WindowPlan, lay_windows, window_weights

shapes = st.tuples(*[st.integers(1, 40)] * 3)
patches = st.tuples(*[st.integers(1, 16)] * 3)


@given(shape=shapes, patch=patches, overlap=st.floats(0, 0.9))
def test_windows_cover_every_voxel_and_stay_in_the_padded_image(
    shape: tuple[int, int, int], patch: tuple[int, int, int], overlap: float
) -> None:
    layout = lay_windows(shape, WindowPlan(patch=patch, overlap=max(overlap, 0.0), fixed=True))
    for axis in range(3):
        starts = sorted({start[axis] for start in layout.starts})
        assert starts[0] == 0
        assert starts[-1] + patch[axis] == layout.padded[axis]
        assert all(b - a <= patch[axis] for a, b in itertools.pairwise(starts))
    assert len(set(layout.starts)) == len(layout.starts)


@given(shape=shapes, patch=patches)
def test_padding_goes_around_the_image(shape: tuple[int, int, int], patch: tuple[int, int, int]) -> None:
    layout = lay_windows(shape, WindowPlan(patch=patch))
    image = np.ones(shape)
    padded = np.pad(image, layout.padding)
    assert padded.shape == layout.padded
    assert padded[layout.inside].all()
    assert padded.sum() == image.size
    assert all(abs(before - after) <= 1 for before, after in layout.padding)


@pytest.mark.parametrize(
    ("whole_voxels", "fixed", "windows"), [(0, False, 27), (32**3, False, 1), (32**3 - 1, False, 27), (32**3, True, 27)]
)
def test_image_goes_whole_if_it_is_small_and_the_network_takes_any_size(
    whole_voxels: int, *, fixed: bool, windows: int
) -> None:
    plan = WindowPlan(patch=(16, 16, 16), multiple=(8, 8, 8), whole_voxels=whole_voxels, fixed=fixed)
    layout = lay_windows((30, 32, 31), plan)
    assert len(layout.starts) == windows
    assert math.prod(layout.window) == (32**3 if windows == 1 else 16**3)


def test_image_smaller_than_the_patch_is_one_window_of_that_size() -> None:
    layout = lay_windows((10, 16, 7), WindowPlan(patch=(16, 16, 16), whole_voxels=9**9))
    assert (layout.padded, layout.before, layout.starts) == ((16, 16, 16), (3, 0, 4), ((0, 0, 0),))


def test_without_a_patch_every_image_goes_whole_with_zeros_at_its_end() -> None:
    layout = lay_windows((10, 16, 7), WindowPlan(multiple=(4, 8, 16)))
    assert (layout.padded, layout.before, layout.window) == ((12, 16, 16), (0, 0, 0), (12, 16, 16))


def test_middle_of_a_window_counts_most_and_no_voxel_counts_nothing() -> None:
    weights = window_weights((16, 9, 12))
    assert weights.shape == (16, 9, 12)
    assert weights.dtype == np.float32
    assert weights.argmax() == np.ravel_multi_index((7, 4, 5), weights.shape)
    assert weights.min() == np.float32(1e-3)
    np.testing.assert_allclose(weights, weights[::-1, ::-1, ::-1])
    assert not weights.flags.writeable


def test_windows_and_weights_are_those_of_monai() -> None:
    monai = pytest.importorskip("monai.data.utils")
    interval = pytest.importorskip("monai.inferers.utils")._get_scan_interval
    for length in range(1, 40, 3):
        for edge in range(1, length + 1):
            for overlap in (0.0, 0.25, 0.5, 0.6, 0.9):
                shape, patch = (length, 5, 5), (edge, 5, 5)
                step = interval(shape, patch, 3, (overlap,) * 3)
                expected = [tuple(s.start for s in w) for w in monai.dense_patch_slices(shape, patch, step)]
                assert list(lay_windows(shape, WindowPlan(patch=patch, overlap=overlap)).starts) == expected
    expected_weights = monai.compute_importance_map((16, 9, 12), "gaussian").numpy()
    np.testing.assert_allclose(window_weights((16, 9, 12)), expected_weights, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": (0, 8, 8)}, "edges of at least one voxel"),
        ({"multiple": (8, 8, 0)}, "edges of at least one voxel"),
        ({"overlap": 1.0}, "overlap by 0 to 0.9"),
        ({"whole_voxels": -1}, "overlap by 0 to 0.9"),
        ({"fixed": True}, "needs the size of its patch"),
    ],
)
def test_plan_that_cannot_be_followed_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WindowPlan(**change)  # type: ignore[arg-type]  # what is wrong is the point
