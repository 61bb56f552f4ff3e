from itertools import combinations

import numpy as np
import pytest

from tds_clinical.reports.paint import LABEL_COLOURS, coloured, paint_labels
from tds_data.vocabulary import Label

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ_FROM_RGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(linear: np.ndarray) -> np.ndarray:
    x, y, z = np.cbrt(XYZ_FROM_RGB @ linear / (0.9505, 1.0, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_labels_stay_apart_for_every_kind_of_colour_vision(sight: str) -> None:
    seen = []
    for colour in LABEL_COLOURS.values():
        linear = (np.array(colour) / 255) ** 2.2
        seen.append(lab(np.clip(SIGHT[sight] @ linear, 0, 1)))
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 25


def shares_of(labels: np.ndarray) -> np.ndarray:
    return np.stack([(labels == label).astype(np.float32) for label in Label])


@pytest.fixture
def rings() -> np.ndarray:
    rows, columns = np.indices((80, 80)) - 40
    distance = np.hypot(rows, columns)
    labels = np.zeros((80, 80), dtype=np.uint8)
    for label, radius in ((2, 30), (3, 20), (1, 10)):
        labels[distance < radius] = label
    return labels


def test_each_label_is_filled_translucently_in_its_colour(rings: np.ndarray) -> None:
    picture = coloured(np.full((80, 80), 100, dtype=np.uint8), paint_labels(shares_of(rings))).astype(float)
    for label, column in ((Label.NCR, 40), (Label.ET, 55), (Label.ED, 65)):
        tint = picture[40, column] - 100
        expected = np.array(LABEL_COLOURS[label]) - 100
        share = float(tint @ expected / (expected @ expected))
        assert 0.1 < share < 0.3
        assert np.allclose(tint, share * expected, atol=1.5)


@pytest.mark.parametrize(("label", "radius"), [(Label.NCR, 10), (Label.ET, 20), (Label.ED, 30)])
def test_each_region_has_a_crisp_outline_in_its_colour(rings: np.ndarray, label: Label, radius: int) -> None:
    picture = coloured(np.zeros((80, 80), dtype=np.uint8), paint_labels(shares_of(rings)))
    profile = picture[40, 40 + radius - 6 : 40 + radius + 4].astype(int)
    near = np.abs(profile - LABEL_COLOURS[label]).sum(axis=1) < 60
    assert 1 <= near.sum() <= 2


def test_what_no_label_touches_stays_grey(rings: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 256, (80, 80)).astype(np.uint8)
    picture = coloured(grey, paint_labels(shares_of(rings)))
    untouched = np.hypot(*(np.indices((80, 80)) - 40)) > 32
    assert (picture[untouched] == grey[untouched][:, None]).all()
    assert (coloured(grey, None) == grey[..., None]).all()


@pytest.mark.parametrize("place", [(0, 0), (79, 79), (40, 40)])
def test_a_single_pixel_is_seen_even_in_a_corner(place: tuple[int, int]) -> None:
    labels = np.zeros((80, 80), dtype=np.uint8)
    labels[place] = Label.ET
    picture = coloured(np.zeros((80, 80), dtype=np.uint8), paint_labels(shares_of(labels)))
    assert picture[place].max() > 100


def test_labels_in_a_picture_of_one_row_are_painted() -> None:
    paint = paint_labels(shares_of(np.array([[0, 2, 2, 0]], dtype=np.uint8)))
    assert paint.opacity.shape == (1, 4)
    assert paint.opacity[0, 1] > 0.1


def test_shares_too_small_to_count_paint_nothing() -> None:
    shares = np.zeros((4, 20, 20), dtype=np.float32)
    shares[0] = 1.0
    paint = paint_labels(shares)
    assert not paint.opacity.any()
