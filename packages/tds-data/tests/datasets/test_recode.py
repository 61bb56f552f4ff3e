"""What is encoded anew keeps every value, the place and the rest of the header; nibabel is the judge."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import LabelError, VolumeReadError
from tds_data.datasets import _recode
from tds_data.errors import ConversionRefused
from tds_data.nifti import read_volume

SHAPE = (4, 3, 2)
PATH = Path("x.nii")
AFFINE = np.array([[0, 0, 2.5, -7], [-1.25, 0.01, 0, 30], [0, 3, 0.02, 5], [0, 0, 0, 1]])


def image(
    array: np.ndarray,
    *,
    affine: np.ndarray = AFFINE,
    kind: type = nib.Nifti1Image,
    scaling: tuple[float, float] | None = None,
    qform_only: bool = False,
) -> bytes:
    made = kind(array, affine)
    made.header["descrip"] = b"made by hand"
    made.header.set_xyzt_units("mm", "sec")
    if qform_only:
        made.set_sform(None, code=0)
        made.set_qform(affine, code=1, strip_shears=True)
    data = bytearray(made.to_bytes())
    if scaling is not None:
        offset = 112 if kind is nib.Nifti1Image else 176
        code = np.float32 if kind is nib.Nifti1Image else np.float64
        size = np.dtype(code).itemsize
        for number, value in enumerate(scaling):
            data[offset + number * size : offset + (number + 1) * size] = code(value).tobytes()
    return bytes(data)


def voxels_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, SHAPE).astype(np.int16)


def opened(data: bytes, kind: type = nib.Nifti1Image) -> nib.Nifti1Image:
    return kind.from_bytes(data)


DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    count=st.integers(2, 4),
    scaling=st.sampled_from([None, (2.0, 0.0), (0.5, -3.0), (1.0, 0.0)]),
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    qform_only=st.booleans(),
    packed=st.booleans(),
    seed=st.integers(0, 9),
)
def test_split_volumes_are_what_nibabel_reads(
    *,
    dtype: str,
    count: int,
    scaling: tuple[float, float] | None,
    kind: type,
    qform_only: bool,
    packed: bool,
    seed: int,
) -> None:
    array = np.random.default_rng(seed).integers(0, 100, (*SHAPE, count)).astype(dtype)
    data = image(array, kind=kind, scaling=scaling, qform_only=qform_only)
    whole = opened(data, kind)
    stored = _recode.parse(gzip.compress(data) if packed else data, PATH)
    for index in range(count):
        part = opened(_recode.build(_recode.split(stored, index, PATH)), kind)
        np.testing.assert_array_equal(part.get_fdata(), whole.get_fdata()[..., index])
        np.testing.assert_array_equal(part.affine, whole.affine)
        assert part.shape == SHAPE
        assert part.get_data_dtype() == np.dtype(dtype)
        assert bytes(part.header["descrip"]).startswith(b"made by hand")


@settings(max_examples=40, deadline=None)
@given(
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=2, max_size=4),
    scaling=st.sampled_from([None, (2.0, 0.0), (0.25, 1.0)]),
    qform_only=st.booleans(),
)
def test_stacked_volumes_keep_every_value_and_come_apart_again(
    *, dtypes: list[str], scaling: tuple[float, float] | None, qform_only: bool
) -> None:
    arrays = [np.random.default_rng(n).integers(0, 100, SHAPE).astype(dtype) for n, dtype in enumerate(dtypes)]
    files = [image(a, scaling=scaling if n == 0 else None, qform_only=qform_only) for n, a in enumerate(arrays)]
    parts = [_recode.parse(data, PATH) for data in files]
    joined = _recode.build(_recode.stack(parts, [f"{n}.nii" for n in range(len(parts))]))
    whole = opened(joined)
    assert whole.shape == (*SHAPE, len(arrays))
    np.testing.assert_array_equal(whole.affine, opened(files[0]).affine)
    for index, data in enumerate(files):
        np.testing.assert_array_equal(whole.get_fdata()[..., index], opened(data).get_fdata())
        again = _recode.build(_recode.split(_recode.parse(joined, PATH), index, PATH))
        np.testing.assert_array_equal(opened(again).get_fdata(), opened(data).get_fdata())


def test_scaled_values_are_those_of_read_volume(tmp_path: Path) -> None:
    for dtype in DTYPES:
        array = np.arange(24).reshape(SHAPE).astype(dtype)
        data = image(array, scaling=(0.1, -3.3))
        (tmp_path / "x.nii").write_bytes(data)
        plain = _recode.parse(image(array.astype(np.float32)), PATH)
        joined = _recode.stack([_recode.parse(data, PATH), plain], ["a", "b"])
        expected = read_volume(tmp_path / "x.nii").voxels
        np.testing.assert_array_equal(joined.numbers[..., 0], expected)


def test_files_of_one_type_and_scaling_are_joined_as_they_are_stored() -> None:
    parts = [_recode.parse(image(np.full(SHAPE, n, np.int16), scaling=(0.5, 0.0)), PATH) for n in (1, 2)]
    joined = _recode.stack(parts, ["a", "b"])
    assert joined.numbers.dtype == np.int16
    assert float(joined.header["scl_slope"]) == 0.5


def test_header_without_an_offset_means_voxels_right_after_it() -> None:
    arrays = [voxels_of(seed) for seed in (1, 2)]
    parts = []
    for array in arrays:
        data = bytearray(image(array))
        data[108:112] = np.float32(0).tobytes()
        parts.append(_recode.parse(bytes(data), PATH))
    whole = opened(_recode.build(_recode.stack(parts, ["a", "b"])))
    np.testing.assert_array_equal(whole.get_fdata(), np.stack(arrays, axis=-1))


def test_qform_without_a_sign_is_understood() -> None:
    data = bytearray(image(voxels_of(1), qform_only=True))
    data[76:80] = np.float32(1).tobytes()
    expected = opened(bytes(data)).affine
    data[76:80] = np.float32(0).tobytes()
    parts = [_recode.parse(bytes(data), PATH)] * 2
    np.testing.assert_allclose(_recode.affine(parts[0]), expected)
    assert opened(_recode.build(_recode.stack(parts, ["a", "b"]))).shape == (*SHAPE, 2)


def test_a_fourth_axis_of_one_is_none() -> None:
    parts = [
        _recode.parse(image(np.ones((*SHAPE, 1), np.uint8)), PATH),
        _recode.parse(image(np.ones(SHAPE, np.uint8)), PATH),
    ]
    assert _recode.stack(parts, ["a", "b"]).numbers.shape == (*SHAPE, 2)


def test_grids_that_differ_are_not_stacked() -> None:
    first = _recode.parse(image(np.ones(SHAPE, np.uint8)), PATH)
    moved = AFFINE.copy()
    moved[0, 3] += 0.01
    near = AFFINE.copy()
    near[0, 3] += 1e-5
    with pytest.raises(ConversionRefused, match=r"'a' and 'b' lie 0\.01 mm apart.*convert to brats or bids"):
        _recode.stack([first, _recode.parse(image(np.ones(SHAPE, np.uint8), affine=moved), PATH)], ["a", "b"])
    with pytest.raises(ConversionRefused, match="differ in shape"):
        _recode.stack([first, _recode.parse(image(np.ones((4, 3, 3), np.uint8)), PATH)], ["a", "b"])
    _recode.stack([first, _recode.parse(image(np.ones(SHAPE, np.uint8), affine=near), PATH)], ["a", "b"])


def test_integers_that_no_float_holds_are_not_stacked_with_floats() -> None:
    wide = _recode.parse(nib.Nifti1Image(np.full(SHAPE, 2**60, np.int64), AFFINE, dtype=np.int64).to_bytes(), PATH)
    small = _recode.parse(nib.Nifti1Image(np.full(SHAPE, 7, np.int64), AFFINE, dtype=np.int64).to_bytes(), PATH)
    real = _recode.parse(image(np.ones(SHAPE, np.float32)), PATH)
    with pytest.raises(ConversionRefused, match="64-bit integers"):
        _recode.stack([wide, real], ["a", "b"])
    assert _recode.stack([small, real], ["a", "b"]).numbers.dtype == np.float64


def test_volume_that_is_not_there_is_told() -> None:
    stored = _recode.parse(image(np.ones((*SHAPE, 2), np.uint8)), PATH)
    with pytest.raises(VolumeReadError, match="volume 2"):
        _recode.split(stored, 2, PATH)
    with pytest.raises(VolumeReadError, match="volume 0"):
        _recode.split(_recode.parse(image(np.ones(SHAPE, np.uint8)), PATH), 0, PATH)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_renumbered_mask_keeps_place_type_and_byte_order(dtype: str, order: str) -> None:
    array = np.resize([0, 1, 2, 4], SHAPE).astype(order + dtype)
    made = nib.Nifti1Image(array, AFFINE, nib.Nifti1Header(endianness=order))
    made.header.set_data_dtype(array.dtype)
    data = made.to_bytes()
    result = _recode.relabel(_recode.parse(data, PATH), {1: 2, 2: 1, 4: 3}, "brats-2021")
    assert result is not None
    after = opened(_recode.build(result))
    np.testing.assert_array_equal(after.affine, opened(data).affine)
    np.testing.assert_array_equal(after.get_fdata(), np.array([0, 2, 1, 9, 3])[array.astype(int)])
    assert after.get_data_dtype() == array.dtype
    assert after.header.endianness == order


def test_mask_that_is_scaled_is_renumbered_by_value() -> None:
    data = image(np.resize([1, 2], SHAPE).astype(np.uint8), scaling=(2.0, -1.0))  # 1 and 3
    result = _recode.relabel(_recode.parse(data, PATH), {1: 2, 3: 4}, "x")
    assert result is not None
    np.testing.assert_array_equal(opened(_recode.build(result)).get_fdata(), np.resize([2, 4], SHAPE))


def test_mask_without_a_change_is_left_alone() -> None:
    stored = _recode.parse(image(np.resize([0, 1, 2], SHAPE).astype(np.uint8)), PATH)
    assert _recode.relabel(stored, {1: 1, 2: 2, 4: 3}, "brats-2021") is None


def test_number_that_the_type_cannot_hold_widens_it() -> None:
    stored = _recode.parse(image(np.resize([0, 1], SHAPE).astype(np.uint8)), PATH)
    result = _recode.relabel(stored, {1: 300}, "x")
    assert result is not None
    assert opened(_recode.build(result)).get_fdata().max() == 300


def test_number_outside_the_table_is_refused() -> None:
    stored = _recode.parse(image(np.resize([0, 1, 7], SHAPE).astype(np.uint8)), PATH)
    with pytest.raises(LabelError, match="7"):
        _recode.relabel(stored, {1: 2}, "x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        b"\x1f\x8b nothing",
        gzip.compress(b"nothing"),
        image(np.ones(SHAPE, np.int16))[:360],
        image(np.ones(SHAPE, np.int16))[:100],
        gzip.compress(image(np.random.default_rng(0).integers(0, 99, (9, 9, 9)).astype(np.int16)))[:-40],
        image(np.ones(SHAPE, np.complex64)),
    ],
)
def test_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(VolumeReadError):
        _recode.parse(data, PATH)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (40, b"\x03\0\xff\xff"),
        (70, b"\xff\x7f"),
        (108, b"\xff\xff\xff\xff"),
        (112, np.array([2, np.nan], np.float32).tobytes()),
    ],
)
def test_damaged_header_is_refused(offset: int, value: bytes) -> None:
    data = bytearray(image(np.ones(SHAPE, np.int16)))
    data[offset : offset + len(value)] = value
    with pytest.raises(VolumeReadError):
        _recode.parse(bytes(data), PATH)


def test_sum_of_gzip_is_checked() -> None:
    data = bytearray(gzip.compress(image(np.ones(SHAPE, np.int16))))
    data[-8] ^= 1
    with pytest.raises(VolumeReadError, match="damaged"):
        _recode.parse(bytes(data), PATH)
