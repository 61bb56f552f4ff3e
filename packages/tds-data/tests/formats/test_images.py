"""What holds for every format."""

import gzip
import os
import pickle
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tds_data import Volume, VolumeReadError, VolumeWriteError, VoxelError
from tds_data.formats import Format, ImageFile, format_of, open_image, read_image, write_image
from tds_data.formats.images import _ENCODERS

NAMES = ("v.nii", "v.nii.gz", "v.nrrd", "v.mha", "v.npz")
ALL_NAMES = (*NAMES, "v.nhdr", "v.mhd")
PLACE = np.diag([-1.0, -2.0, 3.0, 1.0])


def test_header_comes_first_and_voxels_when_asked(written: Path, ramp: Volume) -> None:
    image = open_image(written)
    assert isinstance(image, ImageFile)
    assert (image.path, image.format) == (written, format_of(written))
    assert (image.shape, image.volume_count, image.dtype, image.scaling) == ((2, 3, 4), 1, np.int16, None)
    assert image.size_bytes == 48
    assert np.allclose(image.ras_from_voxel, ramp.ras_from_voxel, atol=1e-6)
    assert image.spacing_mm == pytest.approx(ramp.spacing_mm, abs=1e-6)
    assert image.grid.same_grid(ramp)
    volume = image.read()
    assert np.array_equal(volume.voxels, ramp.voxels)
    assert not volume.voxels.flags.writeable
    assert np.array_equal(volume.ras_from_voxel, image.ras_from_voxel)
    assert [np.array_equal(v.voxels, ramp.voxels) for v in image.read_all()] == [True]


def test_opened_image_goes_to_another_process(written: Path, ramp: Volume) -> None:
    assert np.array_equal(pickle.loads(pickle.dumps(open_image(written))).read().voxels, ramp.voxels)  # noqa: S301  # our own


@pytest.mark.parametrize("name", NAMES)
def test_opening_takes_no_memory_and_reading_little_more_than_the_voxels(tmp_path: Path, name: str) -> None:
    size = 8 << 20
    write_image(tmp_path / name, Volume(np.zeros((2, 1024, size // 2048), np.uint8), PLACE))
    read_image(tmp_path / name)  # what is imported on first use is no part of it
    tracemalloc.start()
    try:
        image = open_image(tmp_path / name)
        opening = tracemalloc.get_traced_memory()[1]
        image.read()
        reading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert opening < 3 << 20
    assert reading < size + (4 << 20)


@pytest.mark.parametrize("name", NAMES)
def test_same_volume_gives_same_bytes(tmp_path: Path, name: str, ramp: Volume) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / name, ramp)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@settings(max_examples=100, deadline=None)
@given(
    voxels=st.sampled_from(["?", "u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", ">i2", ">f4"]).flatmap(
        lambda code: arrays(code, array_shapes(min_dims=3, max_dims=3, max_side=5))
    ),
    affine=arrays(np.float64, (3, 4), elements=st.floats(-500, 500)),
    fortran=st.booleans(),
    name=st.sampled_from(NAMES),
)
def test_written_volumes_come_back(
    *, tmp_path_factory: pytest.TempPathFactory, voxels: np.ndarray, affine: np.ndarray, fortran: bool, name: str
) -> None:
    place = np.vstack([affine, [0, 0, 0, 1]])
    if abs(np.linalg.det(place)) < 1e-3 or np.linalg.cond(place[:3, :3]) > 1e4:
        place = PLACE
    path = tmp_path_factory.getbasetemp() / name
    write_image(path, Volume(np.asarray(voxels, order="F" if fortran else "C"), place))
    back = read_image(path)
    stored = voxels.astype(np.uint8) if voxels.dtype == bool and not name.endswith(".npz") else voxels
    assert back.voxels.dtype == stored.dtype.newbyteorder("=")
    assert np.array_equal(back.voxels, stored, equal_nan=voxels.dtype.kind == "f")
    if name.startswith("v.nii"):
        assert np.array_equal(back.ras_from_voxel, place.astype(np.float32))
    else:
        assert np.allclose(back.ras_from_voxel, place, rtol=1e-15, atol=1e-13)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_absent_files_folders_and_pipes_are_read_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(VolumeReadError, match=r"No such file.*check the path"):
        open_image(path)
    path.mkdir()
    with pytest.raises(VolumeReadError, match=r"no regular file but a folder.*check the path"):
        open_image(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(VolumeReadError, match="a pipe; check the path"):
        open_image(path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(VolumeReadError, match="check the path"):
        open_image(path)


def test_forbidden_file_is_a_read_error(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = open_image(written)

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    for read in (image.read, lambda: open_image(written)):
        with pytest.raises(VolumeReadError, match="Permission denied; check the path and its permissions"):
            read()


def test_file_that_shrinks_after_opening_is_a_read_error(written: Path) -> None:
    image = open_image(written)
    written.write_bytes(written.read_bytes()[:-30])
    with pytest.raises(VolumeReadError, match=r"promises|end early|damaged|no sound"):
        image.read()


def test_voxels_that_memory_cannot_hold_are_a_read_error(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = open_image(written)

    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(VolumeReadError, match="more memory than there is; crop or resample"):
        image.read()


@pytest.mark.parametrize("kind", Format)
def test_one_format_under_the_name_of_another_is_refused(tmp_path: Path, ramp: Volume, kind: Format) -> None:
    for name in NAMES:
        write_image(tmp_path / name, ramp)
        data = (tmp_path / name).read_bytes()
        for other in ALL_NAMES:
            if format_of(Path(name)) is not kind and format_of(Path(other)) is kind:
                (tmp_path / "other").mkdir(exist_ok=True)
                (tmp_path / "other" / other).write_bytes(data)
                with pytest.raises(VolumeReadError, match=r"whatever its name says|no sound"):
                    open_image(tmp_path / "other" / other)


def test_every_truncation_is_a_read_error(written: Path) -> None:
    data = written.read_bytes()
    step = max(len(data) // 150, 1)
    for end in {*range(0, len(data), step), *range(len(data) - 12, len(data))}:
        written.write_bytes(data[:end])
        with pytest.raises(VolumeReadError, match=r";|check"):
            read_image(written)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    flips=st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 255)), min_size=1, max_size=5),
)
def test_flipped_bytes_give_a_volume_or_a_read_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, flips: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"flipped-{name}"
    data = bytearray(_ENCODERS[name[1:]](np.arange(24, dtype=np.int16).reshape(2, 3, 4), PLACE))
    for place, mask in flips:
        data[place % len(data)] ^= mask
    path.write_bytes(data)
    with suppress(VolumeReadError):
        read_image(path)


@pytest.mark.parametrize("name", ["v.hdr", "v.img", "v.img.gz", "V.HDR"])
def test_halves_of_a_pair_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(VolumeReadError, match="half of an image pair"):
        open_image(tmp_path / name)


def test_unknown_names_are_refused_with_the_known_ones(tmp_path: Path, ramp: Volume) -> None:
    for name in ("v.dcm", "v", "v.gz"):
        with pytest.raises(VolumeReadError, match=r"\.nii\.gz, \.nii, \.nrrd.*convert or rename"):
            open_image(tmp_path / name)
        with pytest.raises(VolumeWriteError, match="ends in one of"):
            write_image(tmp_path / name, ramp)


@pytest.mark.parametrize("name", ["v.nhdr", "v.mhd"])
def test_pairs_are_not_written_since_they_could_be_half_there(tmp_path: Path, name: str, ramp: Volume) -> None:
    with pytest.raises(VolumeWriteError, match=r"\.nrrd, \.mha"):
        write_image(tmp_path / name, ramp)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_failed_write_leaves_nothing_and_keeps_what_was_there(
    tmp_path: Path, name: str, ramp: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VolumeWriteError, match="No space left"):
        write_image(path, ramp)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(VolumeWriteError):
        write_image(tmp_path / "absent" / name, ramp)


def test_too_long_an_axis_for_nifti_is_refused(tmp_path: Path) -> None:
    long = Volume(np.zeros((1, 1, 40_000), np.uint8), PLACE)
    with pytest.raises(VoxelError, match="at most 32767"):
        write_image(tmp_path / "v.nii.gz", long)
    write_image(tmp_path / "v.nrrd", long)
    assert open_image(tmp_path / "v.nrrd").shape == (1, 1, 40_000)


def test_strange_names_are_read(tmp_path: Path, ramp: Volume, nrrd: Callable[..., Path]) -> None:
    folder = tmp_path / "Größe & «ß» 脳"
    folder.mkdir()
    for name in NAMES:
        write_image(folder / f" ünï {name}", ramp)
        assert np.array_equal(read_image(folder / f" ünï {name}").voxels, ramp.voxels)
    raw = folder.rename(tmp_path / "脳") / "v.raw"
    raw.write_bytes(ramp.voxels.tobytes(order="F"))
    assert np.array_equal(read_image(nrrd(name="v.nhdr", data_file="脳/v.raw", data=b"")).voxels, ramp.voxels)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.nrrd", "v.mha"])
def test_absurd_size_is_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    shape, path = (20_000, 20_000, 20_000), tmp_path / name
    voxels = np.broadcast_to(np.uint8(0), (3, 3, 3))
    data = _ENCODERS[name[1:].removesuffix(".gz")](voxels, PLACE)
    if name.startswith("v.nii"):
        data = data[:42] + np.array(shape, "<i2").tobytes() + data[48:]
        data = gzip.compress(data) if name.endswith(".gz") else data
    else:
        data = data.replace(b"3 3 3", b"20000 20000 20000")
    path.write_bytes(data)
    image = open_image(path)
    assert image.shape == shape
    tracemalloc.start()
    try:
        with pytest.raises(VolumeReadError, match="promises"):
            image.read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
