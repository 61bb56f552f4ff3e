import numpy as np
import pytest
from hypothesis import given
from metric_shapes import Mask, pairs
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.metrics import dice, hd95_mm, label_mask, region_mask, score_lesions, surface_dice
from tds_core.metrics.masks import pair_masks
from tds_data import Region

LABELS = np.array([[[0, 1, 2, 3, 3, 0]]])


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", ">u4", "i8", "<f4", ">f8"])
def test_labels_of_any_dtype_and_byte_order_become_masks(dtype: str) -> None:
    expected = [[[False, True, False, True, True, False]]]
    np.testing.assert_array_equal(label_mask(LABELS.astype(dtype), (1, 3)), expected)
    np.testing.assert_array_equal(region_mask(LABELS.astype(dtype), Region.TC), expected)


def test_label_beyond_a_byte_is_not_taken_for_a_small_one() -> None:
    labels = np.array([[[257, 1, -255]]])
    np.testing.assert_array_equal(label_mask(labels, (1,)), [[[False, True, False]]])
    np.testing.assert_array_equal(label_mask(labels, (257,)), [[[True, False, False]]])
    assert not label_mask(labels.astype(np.uint8), (300,)).any()


@given(pairs)
def test_pair_holds_every_voxel_inside_its_margin(pair: tuple[Mask, Mask]) -> None:
    found, truth = pair
    cut = pair_masks(found, truth, (1.0, 2.0, 3.0), margin=(1, 2, 3))
    inner = tuple(slice(m, size - m) for m, size in zip(cut.margin, cut.found.shape, strict=True))
    for whole, part in ((found, cut.found), (truth, cut.truth)):
        assert np.count_nonzero(whole) == np.count_nonzero(part) == np.count_nonzero(part[inner])
    assert np.count_nonzero(found & truth) == np.count_nonzero(cut.found & cut.truth)
    assert cut.voxels == truth.size
    assert sorted(cut.spacing_mm) == [1.0, 2.0, 3.0]
    if found.any() or truth.any():
        either = (cut.found | cut.truth)[inner]
        assert all(either.take(end, axis).any() for axis in range(3) for end in (0, -1))


@given(pairs)
def test_memory_layout_changes_nothing(pair: tuple[Mask, Mask]) -> None:
    found, truth = pair
    spacing = (1.0, 2.0, 0.5)
    spread = np.zeros([2 * size for size in found.shape], dtype=np.bool_)
    spread[::2, ::2, ::2] = found
    layouts = [(np.asfortranarray(found), truth), (spread[::2, ::2, ::2], np.asfortranarray(truth))]
    frozen = found.copy()
    frozen.flags.writeable = False
    mirrored = np.ascontiguousarray(truth[::-1, :, ::-1])[::-1, :, ::-1]
    for one, other in [*layouts, (frozen, mirrored)]:
        assert dice(one, other) == dice(found, truth)
        assert hd95_mm(one, other, spacing) == pytest.approx(hd95_mm(found, truth, spacing))
        assert surface_dice(one, other, spacing, tolerance_mm=1.0) == pytest.approx(
            surface_dice(found, truth, spacing, tolerance_mm=1.0)
        )
        assert score_lesions(one, other, spacing).dice == pytest.approx(score_lesions(found, truth, spacing).dice)


@pytest.mark.parametrize(
    ("found", "truth", "spacing", "message"),
    [
        (np.ones((2, 2, 2), np.uint8), np.ones((2, 2, 2), np.bool_), (1, 1, 1), "'found' is of uint8, not bool"),
        (np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 2)), (1, 1, 1), "'truth' is of float64, not bool"),
        (np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 3), np.bool_), (1, 1, 1), r"shape \(2, 2, 2\) and \(2, 2, 3\)"),
        (np.ones((2, 2), np.bool_), np.ones((2, 2), np.bool_), (1, 1), r"shape \(2, 2\)"),
        (np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 2), np.bool_), (1, 0, 1), "have no volume"),
        (np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 2), np.bool_), (1, float("nan"), 1), "have no volume"),
        (np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 2), np.bool_), (1, float("inf"), 1), "have no volume"),
        (np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 2), np.bool_), (1, 1), "have no volume"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        hd95_mm(found, truth, spacing)
    with pytest.raises(EvaluationError, match=message):
        score_lesions(found, truth, spacing)
