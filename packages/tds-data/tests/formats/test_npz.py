import io
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import Volume, VolumeReadError
from tds_data.formats import AffineSource, Format, open_image, read_image, write_image, write_images
from tds_data.formats._npz import encode_npz

RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
PLACE = np.array([[0.9, -0.3, 0.1, 1 / 3], [0.2, 1.4, 0, -2], [0, 0.1, 2.2, 7e-5], [0, 0, 0, 1]])


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **{"voxels": RAMP, "ras_from_voxel": PLACE} | arrays)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(path: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in ({"voxels": npy(RAMP), "ras_from_voxel": npy(PLACE)} | members).items():
            archive.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_saves_is_read(tmp_path: Path, saver: object, order: str) -> None:
    path = tmp_path / "v.npz"
    saver(path, voxels=np.asarray(RAMP, order=order), ras_from_voxel=PLACE, other=np.zeros(3))
    image = open_image(path)
    assert (image.format, image.affine_source) == (Format.NPZ, AffineSource.HEADER)
    assert (image.shape, image.volume_count, image.dtype) == ((2, 3, 4), 1, np.int16)
    assert np.array_equal(image.ras_from_voxel, PLACE)
    assert np.array_equal(image.read().voxels, RAMP)


@pytest.mark.parametrize("code", ["?", "i1", ">i2", "u4", "i8", "f2", ">f4", "f8"])
def test_every_type_comes_back_and_numpy_reads_it(tmp_path: Path, code: str) -> None:
    write_image(tmp_path / "v.npz", Volume(RAMP.astype(code), PLACE))
    volume = read_image(tmp_path / "v.npz")
    assert volume.voxels.dtype == np.dtype(code).newbyteorder("=")
    assert np.array_equal(volume.voxels, RAMP.astype(code))
    assert np.array_equal(volume.ras_from_voxel, PLACE)
    with np.load(tmp_path / "v.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["voxels"], RAMP.astype(code))


def test_volumes_lie_along_a_fourth_axis(tmp_path: Path) -> None:
    write_images(tmp_path / "v.npz", [Volume(RAMP + n, PLACE) for n in range(5)])
    image = open_image(tmp_path / "v.npz")
    assert (image.shape, image.volume_count) == ((2, 3, 4), 5)
    assert [int(volume.voxels[0, 0, 0]) for volume in image.read_all()] == [0, 1, 2, 3, 4]
    with np.load(tmp_path / "v.npz") as archive:
        assert archive["voxels"].shape == (2, 3, 4, 5)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"voxels": RAMP[0]}, "not three axes"),
        ({"voxels": np.zeros((2, 2, 2, 1, 3))}, "neither three nor four axes"),
        ({"voxels": np.zeros((2, 0, 2))}, "cannot be"),
        ({"voxels": RAMP.astype(complex)}, "plain integers or floats"),
        ({"voxels": RAMP.astype("S3")}, "plain integers or floats"),
        ({"voxels": np.zeros((2, 2, 2), np.complex64)}, "plain integers or floats"),
        ({"voxels": np.array([[[None]]])}, "never unpickled"),
        ({"ras_from_voxel": np.array([[None]])}, "never unpickled"),
        ({"ras_from_voxel": np.eye(3)}, "4 x 4 affine"),
        ({"ras_from_voxel": np.eye(4, dtype=complex)}, "4 x 4 affine"),
        ({"ras_from_voxel": np.full((4, 4), np.nan)}, "NaN"),
        ({"ras_from_voxel": np.diag([1.0, 1, 0, 1])}, "singular"),
    ],
)
def test_arrays_that_are_no_volume_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(VolumeReadError, match=reason):
        open_image(save(tmp_path / "v.npz", **arrays))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"voxels": b"no array"}, "'voxels' is damaged"),
        ({"voxels": npy(RAMP)[:30]}, "'voxels' is damaged"),
        ({"voxels": npy(RAMP)[:-2]}, "promises"),
        ({"voxels": npy(RAMP).replace(b"(2, 3, 4)", b"(9, 9, 9)")}, "promises"),
        ({"voxels": b"\x93NUMPY\x09\x00" + npy(RAMP)[8:]}, "'voxels' is damaged"),
        ({"ras_from_voxel": npy(PLACE)[:-2]}, "promises"),
    ],
)
def test_damaged_arrays_are_refused(tmp_path: Path, members: dict[str, bytes], reason: str) -> None:
    with pytest.raises(VolumeReadError, match=reason):
        read_image(zipped(tmp_path / "v.npz", **members))


def test_other_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    np.savez(path, image=RAMP)
    with pytest.raises(VolumeReadError, match="no array 'voxels'"):
        open_image(path)
    np.savez(path, voxels=RAMP)
    with pytest.raises(VolumeReadError, match="no array 'ras_from_voxel'"):
        open_image(path)
    with pytest.raises(VolumeReadError, match="another method than deflate"):
        open_image(zipped(path, zipfile.ZIP_BZIP2))
    for content in (b"", b"text", path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(VolumeReadError, match=r"no sound \.npz"):
            open_image(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("array", [RAMP, PLACE])
def test_wrong_checksum_is_found(tmp_path: Path, method: int, array: np.ndarray) -> None:
    path = zipped(tmp_path / "v.npz", method)
    checksum = zlib.crc32(npy(array)).to_bytes(4, "little")
    assert path.read_bytes().count(checksum) == 2
    path.write_bytes(path.read_bytes().replace(checksum, bytes(4)))
    with pytest.raises(VolumeReadError, match="CRC"):
        read_image(path)


def test_archive_that_changes_between_header_and_voxels_is_refused(tmp_path: Path) -> None:
    image = open_image(save(tmp_path / "v.npz"))
    save(tmp_path / "v.npz", voxels=RAMP.astype(np.float32))
    with pytest.raises(VolumeReadError, match="changed while it was read"):
        image.read()


def test_no_more_is_unpacked_than_promised(tmp_path: Path) -> None:
    path = zipped(tmp_path / "v.npz", voxels=npy(RAMP) + bytes(50 << 20))
    tracemalloc.start()
    try:
        volume = read_image(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(volume.voxels, RAMP)
    assert peak < 8 << 20


@settings(max_examples=150, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255)), min_size=1, max_size=4), cut=st.booleans())
def test_any_damage_gives_a_volume_or_a_read_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], *, cut: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.npz"
    data = bytearray(encode_npz(RAMP, PLACE))
    for place, mask in flips:
        data[place % len(data)] ^= mask
    path.write_bytes(data[: flips[0][0] % len(data)] if cut else data)
    with suppress(VolumeReadError):
        read_image(path)
