import numpy as np
import pytest
from scipy import ndimage

from tds_data.phantoms.exact import along_axis
from tds_data.phantoms.lattice import Lattice, SmoothField, cubic_taps, linear_taps

BOX = Lattice(low_mm=(-30.0, -20.0, 0.0), high_mm=(30.0, 25.0, 48.0), spacing_mm=3.0)


def test_affine_places_voxel_centres() -> None:
    assert BOX.shape == (20, 15, 16)
    np.testing.assert_allclose(BOX.ras_from_voxel @ [0, 1, 2, 1], [-28.5, -15.5, 7.5, 1])
    assert BOX.axis_mm(1)[1] == -15.5


def test_part_keeps_places() -> None:
    part = BOX.part((slice(2, 5), slice(0, 15), slice(3, 16)))
    assert part.shape == (3, 15, 13)
    np.testing.assert_array_equal(part.axis_mm(0), BOX.axis_mm(0)[2:5])
    np.testing.assert_array_equal(part.axis_mm(2), BOX.axis_mm(2)[3:])


def test_interpolation_is_linear_and_repeats_the_edge() -> None:
    values = np.random.default_rng(0).standard_normal(BOX.shape).astype(np.float32)
    fine = BOX.at_spacing(1.0)
    index = [(fine.axis_mm(a) - BOX.low_mm[a]) / 3.0 - 0.5 for a in range(3)]
    expected = ndimage.map_coordinates(values, np.meshgrid(*index, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(BOX.interpolate(values, fine), expected, atol=1e-5)


def test_single_plane_is_repeated() -> None:
    flat = Lattice(low_mm=(0.0, 0.0, 0.0), high_mm=(3.0, 6.0, 6.0), spacing_mm=3.0)
    values = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    np.testing.assert_allclose(
        flat.interpolate(values, flat.at_spacing(1.0))[2], flat.interpolate(values, flat.at_spacing(1.0))[0]
    )


def test_cubic_interpolation_passes_through_the_samples_and_is_exact_for_lines() -> None:
    line = np.linspace(-1, 2, 10, dtype=np.float32)[:, None, None]
    places = np.array([0.0, 3.0, 4.25, 6.5, 9.0, 20.0])
    found = along_axis(line, 0, cubic_taps(places, 10))[:, 0, 0]
    np.testing.assert_allclose(found, np.interp(places, np.arange(10), line[:, 0, 0]), atol=1e-6)


def test_cubic_interpolation_is_sharper_than_linear() -> None:
    edge = (np.arange(20) >= 10).astype(np.float32)[:, None, None]
    places = np.linspace(2, 17, 61)
    sharp, soft = (np.diff(along_axis(edge, 0, taps(places, 20)), axis=0).max() for taps in (cubic_taps, linear_taps))
    assert sharp > soft


@pytest.mark.parametrize("scale_mm", [2.0, 7.0, 20.0])
def test_fields_are_standard_normal_everywhere(scale_mm: float) -> None:
    rng = np.random.default_rng(1)
    fine = BOX.at_spacing(1.5)
    fields = np.stack([SmoothField.draw(rng, BOX, scale_mm).on(fine) for _ in range(60)])
    assert abs(fields.mean()) < 0.15
    assert fields.std(axis=0).mean() == pytest.approx(1, abs=0.06)
    corner, middle = fields.std(axis=0)[0, 0, 0], fields.std(axis=0)[15, 10, 12]
    assert 0.6 < corner < 1.4
    assert 0.6 < middle < 1.4


def test_field_is_the_same_at_every_resolution() -> None:
    field = SmoothField.draw(np.random.default_rng(2), BOX, 8.0)
    rough, fine = field.on(BOX), field.on(BOX.at_spacing(1.0))
    np.testing.assert_allclose(fine[1::3, 1::3, 1::3], rough, atol=1e-5)


def test_field_of_a_part_is_the_part_of_the_field() -> None:
    field = SmoothField.draw(np.random.default_rng(3), BOX, 5.0)
    slices = (slice(3, 9), slice(2, 15), slice(0, 7))
    np.testing.assert_array_equal(field.on(BOX.part(slices)), field.on(BOX)[slices])
