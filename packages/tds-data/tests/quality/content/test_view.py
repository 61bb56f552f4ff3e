import nibabel as nib
import numpy as np
import pytest

from tds_data import Case, Modality, Volume
from tds_data.quality.content.view import LOW_SPACING_MM, make_view

T1, T1CE, T2, FLAIR = Modality


def with_voxels(case: Case, voxels: np.ndarray) -> Case:
    return Case(name="x", images={T1: case.images[T1].with_voxels(voxels)})


def test_small_picture_keeps_places_and_sums(drawn: Case) -> None:
    view = make_view(drawn)
    sequence = view.sequences[T1]
    assert sequence.low.shape == sequence.share.shape == view.low_shape
    grid = drawn.images[T1]
    inside = np.argwhere(grid.voxels > 0)
    centre = inside.mean(axis=0) @ grid.ras_from_voxel[:3, :3].T + grid.ras_from_voxel[:3, 3]
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in view.low_shape], indexing="ij"), axis=-1)
    low_centre = (indices * sequence.share[..., None]).sum(axis=(0, 1, 2)) / sequence.share.sum()
    np.testing.assert_allclose(low_centre @ view.ras_from_low[:3, :3].T + view.ras_from_low[:3, 3], centre, atol=0.05)
    assert sequence.share.sum() * LOW_SPACING_MM**3 == pytest.approx(len(inside) * 8, rel=1e-3)
    assert np.median(sequence.low[sequence.share > 0.99]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SLA", "PIR"])
def test_any_order_of_the_voxels_gives_the_same_picture(drawn: Case, codes: str) -> None:
    image = nib.Nifti1Image(np.asarray(drawn.grid.voxels), drawn.grid.ras_from_voxel)
    there = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    turned = image.as_reoriented(there)
    voxels = np.asarray(turned.dataobj, order="F")
    case = Case(name="x", images={T1: Volume(voxels, turned.affine)})
    wanted, seen = (make_view(c) for c in (Case(name="x", images={T1: drawn.grid}), case))
    np.testing.assert_allclose(seen.sequences[T1].low, wanted.sequences[T1].low, atol=1e-5)
    np.testing.assert_allclose(seen.ras_from_low, wanted.ras_from_low, atol=1e-6)


def test_scale_and_offset_of_the_intensities_do_not_matter(drawn: Case) -> None:
    wanted = make_view(drawn).sequences[T1]
    scaled = make_view(with_voxels(drawn, drawn.grid.voxels * 0.001)).sequences[T1]
    np.testing.assert_allclose(scaled.low, wanted.low, atol=1e-4)
    moved = make_view(with_voxels(drawn, drawn.grid.voxels.astype(np.float32) - 1000)).sequences[T1]
    np.testing.assert_allclose(moved.low, wanted.low, atol=1e-3)


def test_z_scored_image_with_zero_background_stays_positive(drawn: Case) -> None:
    voxels = drawn.grid.voxels.astype(np.float32)
    inside = voxels > 0
    voxels[inside] = (voxels[inside] - voxels[inside].mean()) / voxels[inside].std()
    sequence = make_view(with_voxels(drawn, voxels)).sequences[T1]
    assert sequence.floor < 0
    assert np.quantile(sequence.low[sequence.share > 0.99], 0.02) >= 0


def test_images_without_content_are_left_out(drawn: Case) -> None:
    broken = drawn.grid.voxels.astype(np.float32)
    broken[10, 10, 10] = np.nan
    images = {T1: drawn.grid.with_voxels(broken), T2: drawn.grid.with_voxels(np.zeros(drawn.grid.shape, np.int16))}
    assert not make_view(Case(name="x", images=images)).sequences
    speck = np.zeros(drawn.grid.shape, np.int16)
    speck[40, 40, 40] = 9
    assert not make_view(with_voxels(drawn, speck)).sequences
    flat = np.where(drawn.grid.voxels > 0, -5, 0)
    assert not make_view(with_voxels(drawn, flat)).sequences


def test_empty_mask_counts_as_none(drawn: Case) -> None:
    empty = drawn.grid.with_voxels(np.zeros(drawn.grid.shape, np.uint8))
    assert make_view(Case(name="x", images=drawn.images, reference=empty)).reference is None
    view = make_view(drawn)
    assert view.reference is not None
    assert view.reference.shape == view.box.shape
