from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tds_core import ConfigError, TrainingError
from tds_core.training.mixture.config import DataConfig
from tds_core.training.mixture.samples import load_cubes, load_shapes, make_sample, preprocessing, shape_regions
from tds_data import Case, PreprocessConfig, prepare, prepare_reference

CONFIG = preprocessing(DataConfig(cases=Path(), validation=(), spacing_mm=4.0))


def write_cubes(path: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 32, 32, 32), np.uint8)
    labels[:, 8:24, 8:24, 8:24] = 2
    labels[:, 10:20, 10:20, 10:20] = 1
    labels[0, 4:8, 20:28, 12:20] = 4
    arrays = {
        "x": rng.integers(-100, 100, (3, 4, 32, 32, 32)).astype(np.int8),
        "scale": np.float32(0.05),
        "y": labels,
        "case": np.array(["one_0", "two_0", "twofold_0"]),
        "spacing_mm": np.array([1.0, 1.0, 1.0]),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_sample_is_the_case_as_the_network_sees_it(phantom: Case) -> None:
    sample = make_sample(phantom, CONFIG)
    assert phantom.reference is not None
    prepared = prepare(phantom, PreprocessConfig(spacing_mm=4.0))
    np.testing.assert_array_equal(sample.image.numpy(), prepared.tensor)
    np.testing.assert_array_equal(sample.regions.numpy(), prepare_reference(prepared, phantom.reference))
    assert (sample.name, sample.origin) == (phantom.name, prepared.box.start)


def test_case_without_a_mask_is_no_sample(phantom: Case) -> None:
    with pytest.raises(TrainingError, match="has no reference mask; training needs one"):
        make_sample(replace(phantom, reference=None), CONFIG)


def test_cubes_are_turned_to_ras_scaled_and_relabelled(tmp_path: Path) -> None:
    path = write_cubes(tmp_path / "cubes.npz")
    first, *_ = load_cubes(path, (), 1.0)
    with np.load(path) as archive:
        x, y = archive["x"][0].astype(np.float32) * 0.05, archive["y"][0]
    np.testing.assert_allclose(first.image.numpy(), x[:, ::-1, ::-1], rtol=1e-5)
    np.testing.assert_array_equal(first.regions[2].numpy(), (y == 4)[::-1, ::-1])
    np.testing.assert_array_equal(first.regions[0].numpy(), (y > 0)[::-1, ::-1])
    np.testing.assert_allclose(first.label_mean[2], x[:, y == 4].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(first.label_std[0], x[:, y == 1].std(axis=1), rtol=1e-4)


def test_label_with_too_few_voxels_has_no_statistics(tmp_path: Path) -> None:
    _, second, _ = load_cubes(write_cubes(tmp_path / "cubes.npz"), (), 2.0)
    assert second.image.shape == (4, 16, 16, 16)
    assert np.isnan(second.label_mean[2]).all()
    assert np.isfinite(second.label_mean[:2]).all()


def test_excluded_patient_is_left_out_and_nobody_of_a_similar_name(tmp_path: Path) -> None:
    path = write_cubes(tmp_path / "cubes.npz")
    assert len(load_cubes(path, ("two",), 2.0)) == 2
    assert len(load_cubes(path, ("two_0", "one"), 2.0)) == 1


def test_excluding_somebody_who_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write_cubes(tmp_path / "cubes.npz")
    with pytest.raises(ConfigError, match="nothing is called tw: a misspelt patient"):
        load_cubes(path, ("one", "tw"), 2.0)


def test_shapes_are_turned_relabelled_and_excluded(tmp_path: Path) -> None:
    seg = np.zeros((2, 8, 8, 8), np.uint8)
    seg[0, 1, 2, 3], seg[1, 4, 4, 4] = 4, 2
    path = tmp_path / "shapes.npz"
    np.savez(path, seg=seg, case=np.array(["a", "b"]), spacing_mm=np.array([1.0, 2.0, 3.0]))
    shapes, spacing = load_shapes(path, ("b",))
    assert shapes.shape == (1, 8, 8, 8)
    assert shapes[0, 6, 5, 3] == 3
    assert np.count_nonzero(shapes) == 1
    np.testing.assert_array_equal(spacing, [1, 2, 3])


def test_shape_keeps_its_place_in_the_head(phantom: Case) -> None:
    sample = replace(make_sample(phantom, CONFIG), origin=(10, 20, 30))
    labels = np.zeros((120, 120, 120), np.uint8)
    labels[50:58, 60:68, 70:78] = 3
    regions = shape_regions(labels, np.array([1.0, 1.0, 1.0]), sample, 4.0)
    assert regions.shape == (3, *sample.image.shape[1:])
    assert torch.equal(torch.nonzero(regions[2]).float().mean(0), torch.tensor([10.5, 10.5, 10.5]))
    assert float(regions[2].sum()) * 64 == pytest.approx(512)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_file_that_is_no_archive_is_a_configuration_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cubes.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read 'cubes\.npz'.* NPZ file with x, scale, y, case, spacing_mm"):
        load_cubes(path, (), 2.0)


def test_plain_array_missing_array_and_missing_file_are_configuration_errors(tmp_path: Path) -> None:
    plain = tmp_path / "plain.npy"
    np.save(plain, np.zeros(3))
    other = tmp_path / "other.npz"
    np.savez(other, seg=np.zeros(3))
    for path in (plain, other, tmp_path / "absent.npz"):
        with pytest.raises(ConfigError, match="NPZ file with seg, case, spacing_mm"):
            load_shapes(path, ())
