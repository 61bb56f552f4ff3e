import sys

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import GeometryError, MissingDependency, Volume
from tds_data.raw._itk import (
    from_itk_transform,
    load_itk,
    single_thread,
    to_itk,
    to_itk_transform,
    voxels_of,
)

sitk = pytest.importorskip("SimpleITK")

ANGLES = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
ZOOMS = st.tuples(*[st.floats(0.4, 5)] * 3)
PLACES = st.tuples(*[st.floats(-90, 90)] * 3)


@settings(max_examples=40, deadline=None)
@given(angles=ANGLES, zooms=ZOOMS, shift=PLACES)
def test_images_keep_their_places_and_values(
    angles: tuple[float, ...], zooms: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) @ np.diag(zooms), shift)
    volume = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), affine)
    image = to_itk(volume)
    assert np.array_equal(voxels_of(image), volume.voxels)
    assert image.GetPixel(1, 2, 3) == volume.voxels[1, 2, 3]
    lps = image.TransformIndexToPhysicalPoint((1, 2, 3))
    assert np.allclose(np.array(lps) * (-1, -1, 1), nib.affines.apply_affine(affine, (1, 2, 3)), atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(angles=ANGLES, shift=PLACES, centre=PLACES, place=PLACES)
def test_transforms_keep_their_direction_and_sides(
    angles: tuple[float, ...], shift: tuple[float, ...], centre: tuple[float, ...], place: tuple[float, ...]
) -> None:
    matrix = nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles), shift)
    for rigid in (True, False):
        transform = to_itk_transform(matrix, np.array(centre), rigid=rigid)
        moved = np.array(transform.TransformPoint((-place[0], -place[1], place[2]))) * (-1, -1, 1)
        assert np.allclose(moved, nib.affines.apply_affine(matrix, place), atol=1e-6)
        assert np.allclose(from_itk_transform(transform), matrix, atol=1e-9)
    squeezed = matrix @ np.diag([1.1, 0.9, 1.2, 1.0])
    assert np.allclose(from_itk_transform(to_itk_transform(squeezed, np.array(centre), rigid=False)), squeezed)


def test_sheared_axes_are_refused() -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(GeometryError, match="right angles"):
        to_itk(Volume(np.zeros((2, 2, 2)), sheared))


def test_the_number_of_threads_comes_back_whatever_happens() -> None:
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()

    def fail() -> None:
        with single_thread() as module:
            assert module.ProcessObject.GetGlobalDefaultNumberOfThreads() == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == before


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingDependency, match=r"tds-data\[register\]"):
        load_itk()
