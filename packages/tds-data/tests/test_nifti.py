import gzip
import logging
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tds_data import (
    Volume,
    VolumeReadError,
    VolumeWriteError,
    VoxelError,
    read_many,
    read_shape,
    read_volume,
    read_volumes,
    write_volume,
)
from tds_data.formats import open_image
from tds_data.nifti import nifti_stem

OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([0.9, 1.1, 2.5]), [-80.0, 12, 7])
RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray | None = OBLIQUE, **header: object) -> Path:
    image = nib.Nifti1Image(voxels, affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "i4", "f4", "f8"])
def test_voxels_and_affine_equal_nibabels(tmp_path: Path, name: str, dtype: str) -> None:
    path = save(tmp_path / name, RAMP.astype(dtype))
    volume, oracle = read_volume(path), nib.load(path)
    assert np.array_equal(volume.voxels, np.asanyarray(oracle.dataobj))
    assert np.array_equal(volume.ras_from_voxel, oracle.affine)
    assert volume.voxels.dtype == np.dtype(dtype).newbyteorder("=")


def test_big_endian_and_nifti2_files_are_read(tmp_path: Path) -> None:
    swapped = nib.Nifti1Image(RAMP, OBLIQUE, nib.Nifti1Header(endianness=">"))
    nib.save(swapped, tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(RAMP, OBLIQUE), tmp_path / "two.nii.gz")
    for name in ("big.nii", "two.nii.gz"):
        assert np.array_equal(read_volume(tmp_path / name).voxels, RAMP)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float64"])
def test_scaling_gives_float32(tmp_path: Path, dtype: str) -> None:
    image = nib.Nifti1Image(RAMP.astype(dtype), OBLIQUE)
    image.header.set_slope_inter(0.5, -3.0)
    nib.save(image, tmp_path / "v.nii.gz")
    volume = read_volume(tmp_path / "v.nii.gz")
    assert volume.voxels.dtype == np.float32
    assert np.allclose(volume.voxels, nib.load(tmp_path / "v.nii.gz").get_fdata(), atol=1e-4)


def test_qform_counts_when_the_sform_has_no_code(tmp_path: Path) -> None:
    image = nib.Nifti1Image(RAMP, None)
    image.header.set_sform(np.diag([9.0, 9, 9, 1]), code=0)
    image.header.set_qform(OBLIQUE, code=1)
    image.header["sform_code"] = 0
    path = tmp_path / "v.nii"
    path.write_bytes(image.to_bytes())
    assert np.allclose(read_volume(path).ras_from_voxel, OBLIQUE, atol=1e-4)


def test_without_codes_voxel_sizes_make_the_affine_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(tmp_path / "v.nii", RAMP, None)
    assert read_volume(path).spacing_mm == (1.0, 1.0, 1.0)
    assert "nifti_without_orientation" in caplog.text


def test_metres_become_millimetres(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nib.Nifti1Image(RAMP, np.diag([0.001, 0.001, 0.002, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "v.nii")
    with caplog.at_level(logging.WARNING):
        assert read_volume(tmp_path / "v.nii").spacing_mm == pytest.approx((1, 1, 2))
    assert "nifti_unit_converted" in caplog.text


@pytest.mark.parametrize("code", [4, 7, 2 + 56, 255])
def test_unknown_units_are_taken_for_millimetres(tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int) -> None:
    path = save(tmp_path / "v.nii", RAMP, np.diag([1.0, 1, 2, 1]), xyzt_units=code)
    assert read_volume(path).spacing_mm == (1.0, 1.0, 2.0)
    assert ("nifti_unit_unknown" in caplog.text) == (code != 58)


@settings(max_examples=300, deadline=None)
@example(flips=[(111, 32)], packed=True)  # a data offset beyond any file
@given(
    flips=st.lists(st.tuples(st.integers(4, 347), st.integers(1, 255)), min_size=1, max_size=3), packed=st.booleans()
)
def test_flipped_header_bytes_give_a_volume_or_a_read_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], *, packed: bool
) -> None:
    data = bytearray(nib.Nifti1Image(RAMP, OBLIQUE).to_bytes())
    for place, mask in flips:
        data[place] ^= mask
    path = tmp_path_factory.getbasetemp() / "flipped.nii.gz"
    path.write_bytes(gzip.compress(bytes(data), 1) if packed else bytes(data))
    for read in (read_volume, read_volumes, read_shape):
        with suppress(VolumeReadError):
            read(path)


def test_no_more_is_unpacked_than_the_header_promises(tmp_path: Path) -> None:
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(nib.Nifti1Image(RAMP, OBLIQUE).to_bytes() + bytes(200 << 20), 1))
    tracemalloc.start()
    try:
        volume = read_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(volume.voxels, RAMP)
    assert peak < 8 << 20


def test_a_header_cannot_be_hidden_in_many_members(tmp_path: Path) -> None:
    data = nib.Nifti1Image(RAMP, OBLIQUE).to_bytes()
    path = tmp_path / "v.nii.gz"
    path.write_bytes(b"".join(gzip.compress(data[n : n + 1]) for n in range(len(data))) + gzip.compress(b"more"))
    assert np.array_equal(read_volume(path).voxels, RAMP)


def test_what_follows_the_voxels_is_tolerated(tmp_path: Path) -> None:
    data = nib.Nifti1Image(RAMP, OBLIQUE).to_bytes()
    for name, content in [
        ("a", data + b"tail"),
        ("b", gzip.compress(data + b"tail")),
        ("c", gzip.compress(data) + b"x"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_volume(tmp_path / name).voxels, RAMP)


def test_trailing_axes_of_length_one_are_dropped(tmp_path: Path) -> None:
    path = save(tmp_path / "v.nii", RAMP[..., None, None])
    assert read_volume(path).shape == (2, 3, 4)
    assert read_shape(path) == (2, 3, 4)


def test_four_dimensions_give_one_volume_for_each_index(tmp_path: Path) -> None:
    stack = np.stack([RAMP, RAMP + 100], axis=-1)
    path = save(tmp_path / "v.nii.gz", stack)
    first, second = read_volumes(path)
    assert np.array_equal(first.voxels, RAMP)
    assert np.array_equal(second.voxels, RAMP + 100)
    assert read_shape(path) == (2, 3, 4, 2)
    assert len(read_volumes(save(tmp_path / "w.nii", RAMP))) == 1


def test_many_files_come_in_the_order_given(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{n}.nii.gz", RAMP + n) for n in range(6)]
    assert [int(v.voxels[0, 0, 0]) for v in read_many(reversed(paths))] == [5, 4, 3, 2, 1, 0]


def test_gzip_in_several_members_is_read(tmp_path: Path) -> None:
    data = nib.Nifti1Image(RAMP, OBLIQUE).to_bytes()
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(data[:300]) + gzip.compress(data[300:]) + b"\0" * 8)
    assert np.array_equal(read_volume(path).voxels, RAMP)


def _truncated(data: bytes) -> bytes:
    return gzip.compress(data)[:-20]


def _corrupt(data: bytes) -> bytes:
    packed = bytearray(gzip.compress(data))
    packed[20:40] = b"\xff" * 20
    return bytes(packed)


def _pair_magic(data: bytes) -> bytes:
    return data[:344] + b"ni1\0" + data[348:]


def _unknown_datatype(data: bytes) -> bytes:
    return data[:70] + struct.pack("<h", 77) + data[72:]


def _singular_sform(data: bytes) -> bytes:
    return data[:280] + bytes(48) + data[328:]


def _huge_shape(data: bytes) -> bytes:
    return data[:42] + struct.pack("<hhh", 3000, 3000, 3000) + data[48:]


def _negative_shape(data: bytes) -> bytes:
    return data[:42] + struct.pack("<h", -3) + data[44:]


def _infinite_intercept(data: bytes) -> bytes:
    return data[:112] + struct.pack("<ff", 2.0, np.inf) + data[120:]


def _offset(value: float) -> Callable[[bytes], bytes]:
    return lambda data: data[:108] + struct.pack("<f", value) + data[112:]


def _two_negative_axes(data: bytes) -> bytes:
    return data[:42] + struct.pack("<hh", -2, -3) + data[46:]


def _negative_voxel_size(data: bytes) -> bytes:
    return data[:80] + struct.pack("<f", np.nan) + data[84:252] + struct.pack("<hh", 1, 0) + data[256:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncated, "truncated"),
        (_corrupt, "damaged"),
        (lambda _: b"not an image at all, just text" * 20, "no NIfTI file"),
        (lambda _: gzip.compress(b"not an image at all" * 40), "no NIfTI file"),
        (lambda _: b"", "empty"),
        (lambda data: data[:200], "header is damaged"),
        (lambda data: data[:-2], "promises"),
        (_pair_magic, "image pair"),
        (_unknown_datatype, "header is damaged"),
        (_singular_sform, "singular"),
        (_huge_shape, "promises"),
        (_negative_shape, "promises"),
        (_two_negative_axes, "promises"),
        (_infinite_intercept, "header is damaged"),
        (_offset(np.nan), "header is damaged"),
        (_offset(np.inf), "header is damaged"),
        (_offset(-16.0), "damaged|promises"),
        (_offset(1e30), "promises"),
        (_negative_voxel_size, "damaged|finite"),
        (lambda data: gzip.compress(data[:300]), "header is damaged"),
        (lambda data: gzip.compress(data)[:-4], "truncated"),
        (lambda data: gzip.compress(data)[:-8] + bytes(8), "damaged"),
        (lambda data: gzip.compress(data[:-2]), "promises"),
    ],
)
def test_damaged_files_are_refused_with_the_reason(tmp_path: Path, damage: object, reason: str) -> None:
    path = tmp_path / "v.nii.gz"
    path.write_bytes(damage(nib.Nifti1Image(RAMP, OBLIQUE).to_bytes()))
    with pytest.raises(VolumeReadError, match=reason) as caught:
        read_volume(path)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (RAMP[0], "not three axes; export the whole series"),
        (np.zeros((2, 2, 2, 3), np.int16), "one file per sequence"),
        (np.zeros((2, 2, 2, 1, 3), np.int16), "neither three nor four axes; split"),
        (RAMP.astype(np.complex64), "complex64"),
        (np.zeros((2, 2, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])), "RGB"),
    ],
)
def test_what_is_no_volume_is_refused(tmp_path: Path, voxels: np.ndarray, reason: str) -> None:
    with pytest.raises(VolumeReadError, match=reason):
        read_volume(save(tmp_path / "v.nii.gz", voxels))


def test_five_axes_are_no_list_of_volumes(tmp_path: Path) -> None:
    with pytest.raises(VolumeReadError, match="neither three nor four"):
        read_volumes(save(tmp_path / "v.nii", np.zeros((2, 2, 2, 2, 2), np.int16)))


def test_missing_file_and_folder_are_read_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.nii", tmp_path):
        with pytest.raises(VolumeReadError, match="check the path"):
            read_volume(path)


def test_damaged_gzip_has_no_shape(tmp_path: Path) -> None:
    path = tmp_path / "v.nii.gz"
    path.write_bytes(b"\x1f\x8b" + b"\xff" * 50)
    with pytest.raises(VolumeReadError, match="gzip"):
        read_shape(path)


@settings(max_examples=40, deadline=None)
@given(
    voxels=arrays(
        st.sampled_from([np.uint8, np.int16, np.int32, np.float32, np.float64]), (3, 4, 5), fill=st.nothing()
    ),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    zooms=st.tuples(*[st.floats(0.3, 6)] * 3),
)
def test_written_volumes_come_back(
    tmp_path_factory: pytest.TempPathFactory, voxels: np.ndarray, angles: tuple[float, ...], zooms: tuple[float, ...]
) -> None:
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) @ np.diag(zooms), [1.0, -2.0, 3.0])
    path = tmp_path_factory.mktemp("roundtrip") / "v.nii.gz"
    write_volume(path, Volume(voxels, affine))
    back, oracle = read_volume(path), nib.load(path)
    assert np.array_equal(back.voxels, voxels, equal_nan=voxels.dtype.kind == "f")
    assert np.allclose(back.ras_from_voxel, affine, atol=1e-5)
    assert (int(oracle.header["sform_code"]), int(oracle.header["qform_code"])) == (1, 1)
    assert np.allclose(oracle.header.get_qform(), affine, atol=1e-3)
    assert oracle.header.get_xyzt_units()[0] == "mm"


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, Volume(RAMP, OBLIQUE))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_sheared_affine_is_kept_in_the_sform_alone(tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    write_volume(tmp_path / "v.nii", Volume(RAMP, sheared))
    header = nib.load(tmp_path / "v.nii").header
    assert int(header["qform_code"]) == 0
    assert np.allclose(read_volume(tmp_path / "v.nii").ras_from_voxel, sheared)
    assert np.allclose(header.get_zooms(), Volume(RAMP, sheared).spacing_mm)


def test_booleans_are_stored_as_uint8(tmp_path: Path) -> None:
    write_volume(tmp_path / "v.nii", Volume(RAMP > 5, OBLIQUE))
    assert nib.load(tmp_path / "v.nii").get_data_dtype() == np.uint8


def test_int64_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(VoxelError, match="int64"):
        write_volume(tmp_path / "v.nii", Volume(RAMP.astype(np.int64), OBLIQUE))


def test_only_nifti_names_are_written(tmp_path: Path) -> None:
    with pytest.raises(VolumeWriteError, match=r"ends in \.nii"):
        write_volume(tmp_path / "v.mha", Volume(RAMP, OBLIQUE))


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "v.nii").mkdir()
    with pytest.raises(VolumeWriteError) as caught:
        write_volume(tmp_path / "v.nii", Volume(RAMP, OBLIQUE))
    assert caught.value.path == tmp_path / "v.nii"
    assert [p.name for p in tmp_path.iterdir()] == ["v.nii"]
    with pytest.raises(VolumeWriteError):
        write_volume(tmp_path / "absent" / "v.nii", Volume(RAMP, OBLIQUE))


def test_stem_drops_only_the_nifti_suffix() -> None:
    assert nifti_stem(Path("a/scan.1.NII.GZ")) == "scan.1"
    assert nifti_stem(Path("a/scan.txt")) == "scan.txt"


@pytest.mark.real_data
def test_real_patient_equals_nibabels(real_patients: list[Path]) -> None:
    path = next(real_patients[-1].glob("*_t1ce.nii.gz"))
    volume, oracle = read_volume(path), nib.load(path)
    assert np.array_equal(volume.voxels, np.asanyarray(oracle.dataobj))
    assert np.array_equal(volume.ras_from_voxel, oracle.affine)


def forms(path: Path, sform: np.ndarray, qform: np.ndarray, codes: tuple[int, int]) -> Path:
    image = nib.Nifti1Image(RAMP, None)
    image.header.set_qform(qform, 1)
    image.header.set_sform(sform, 1)
    image.header["sform_code"], image.header["qform_code"] = codes
    image.header["vox_offset"] = 352
    path.write_bytes(image.header.binaryblock + bytes(4) + RAMP.tobytes(order="F"))
    return path


MOVED = OBLIQUE + np.array([[0, 0, 0, 5.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("codes", "source"),
    [
        ((1, 1), "sform"),
        ((2, 1), "sform"),
        ((4, 0), "sform"),
        ((9, 1), "sform"),  # unknown, but set
        ((0, 1), "qform"),
        ((-1, 2), "qform"),
        ((0, 0), "assumed"),
        ((-1, -1), "assumed"),
    ],
)
def test_sform_counts_before_qform_before_voxel_sizes(
    tmp_path: Path, codes: tuple[int, int], source: str, caplog: pytest.LogCaptureFixture
) -> None:
    image = open_image(forms(tmp_path / "v.nii", MOVED, OBLIQUE, codes))
    expected = {"sform": MOVED, "qform": OBLIQUE, "assumed": np.diag([-0.9, 1.1, 2.5, 1])}[source]
    assert image.affine_source == source
    assert np.allclose(image.ras_from_voxel[:3, :3], expected[:3, :3], atol=1e-4)
    if source != "assumed":
        assert np.allclose(image.ras_from_voxel, expected, atol=1e-4)
    assert ("nifti_without_orientation" in caplog.text) == (source == "assumed")


def test_without_codes_the_affine_equals_nibabels(tmp_path: Path) -> None:
    path = forms(tmp_path / "v.nii", MOVED, OBLIQUE, (0, 0))
    assert np.array_equal(open_image(path).ras_from_voxel, nib.load(path).affine)


def test_disagreement_of_the_forms_is_measured_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    apart = open_image(forms(tmp_path / "v.nii", MOVED, OBLIQUE, (1, 1)))
    assert apart.form_disagreement_mm == pytest.approx(5.0, abs=1e-3)
    assert "nifti_forms_disagree" in caplog.text
    caplog.clear()
    agreed = open_image(forms(tmp_path / "v.nii", OBLIQUE, OBLIQUE, (1, 1)))
    assert agreed.form_disagreement_mm == pytest.approx(0.0, abs=1e-3)
    assert caplog.text == ""
    assert open_image(forms(tmp_path / "v.nii", MOVED, OBLIQUE, (1, 0))).form_disagreement_mm is None


def test_disagreement_is_in_millimetres_whatever_the_unit(tmp_path: Path) -> None:
    path = forms(tmp_path / "v.nii", MOVED, OBLIQUE, (1, 1))
    data = bytearray(path.read_bytes())
    data[123] = 1  # metres
    path.write_bytes(data)
    assert open_image(path).form_disagreement_mm == pytest.approx(5000.0, rel=1e-3)


@pytest.mark.parametrize("quaternion", [(1.0, 1.0, 1.0), (np.nan, 0.0, 0.0)])
def test_unusable_qform_beside_an_sform_is_an_infinite_disagreement(
    tmp_path: Path, quaternion: tuple[float, float, float], caplog: pytest.LogCaptureFixture
) -> None:
    path = forms(tmp_path / "v.nii", MOVED, OBLIQUE, (1, 1))
    data = path.read_bytes()
    path.write_bytes(data[:256] + struct.pack("<fff", *quaternion) + data[268:])
    image = open_image(path)
    assert image.form_disagreement_mm == np.inf
    assert np.allclose(image.ras_from_voxel, MOVED, atol=1e-4)
    assert "nifti_forms_disagree" in caplog.text


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_voxel_sizes_that_the_affine_needs_must_be_above_zero(tmp_path: Path, size: float) -> None:
    for codes in ((0, 1), (0, 0)):
        path = forms(tmp_path / "v.nii", MOVED, OBLIQUE, codes)
        data = path.read_bytes()
        path.write_bytes(data[:80] + struct.pack("<f", size) + data[84:])
        with pytest.raises(VolumeReadError, match=r"voxel sizes .* finite and above zero"):
            open_image(path)


def test_absent_offset_means_right_behind_the_header(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = forms(tmp_path / "v.nii", MOVED, OBLIQUE, (1, 1))
    data = path.read_bytes()
    path.write_bytes(data[:108] + struct.pack("<f", 0.0) + data[112:])
    assert np.array_equal(read_volume(path).voxels, RAMP)
    assert "nifti_offset_missing" in caplog.text


def test_header_faults_are_logged_by_us_and_not_printed_by_nibabel(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = forms(tmp_path / "v.nii", MOVED, OBLIQUE, (1, 0))
    data = path.read_bytes()
    path.write_bytes(data[:80] + struct.pack("<f", -1.0) + data[84:])
    assert read_volume(path).shape == (2, 3, 4)
    assert {record.name for record in caplog.records} == {"tds_data.formats._nifti"}
    assert "pixdim" in caplog.text


def test_scaling_is_told_before_reading(tmp_path: Path) -> None:
    image = nib.Nifti1Image(RAMP, OBLIQUE)
    image.header.set_slope_inter(0.5, -3.0)
    nib.save(image, tmp_path / "v.nii.gz")
    opened = open_image(tmp_path / "v.nii.gz")
    assert (opened.scaling, opened.dtype, opened.stored_dtype) == ((0.5, -3.0), np.float32, np.int16)
    for slope, intercept in ((0.0, 7.0), (np.nan, 7.0), (1.0, 0.0)):
        path = save(tmp_path / "w.nii", RAMP, scl_slope=slope, scl_inter=intercept)
        data = bytearray(path.read_bytes())
        data[112:120] = struct.pack("<ff", slope, intercept)
        path.write_bytes(data)
        assert open_image(path).scaling is None
        assert np.array_equal(read_volume(path).voxels, RAMP)


def test_scaled_stacks_are_scaled_alike(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.stack([RAMP, RAMP + 5], axis=-1), OBLIQUE)
    image.header.set_slope_inter(2.0, 1.0)
    nib.save(image, tmp_path / "v.nii.gz")
    first, second = read_volumes(tmp_path / "v.nii.gz")
    oracle = nib.load(tmp_path / "v.nii.gz").get_fdata()
    assert np.array_equal(first.voxels, oracle[..., 0])
    assert np.array_equal(second.voxels, oracle[..., 1])
