import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import Volume, VolumeReadError, VoxelError
from tds_data.formats import AffineSource, Format, open_image, read_image, write_image, write_images
from tds_data.formats._metaimage import encode_metaimage

RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
FOUR = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
BYTES = RAMP.tobytes(order="F")
PLACE = np.array([[-1.0, 0, 0, -10], [0, -2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])
Write = Callable[..., Path]


def test_world_is_lps_whatever_the_anatomical_orientation_says(meta: Write) -> None:
    for letters in ("RAI", "LPS", "???"):
        image = open_image(meta(AnatomicalOrientation=letters))
        assert np.array_equal(image.ras_from_voxel, PLACE)
    assert (image.format, image.affine_source) == (Format.METAIMAGE, AffineSource.HEADER)
    assert (image.shape, image.volume_count, image.dtype) == ((2, 3, 4), 1, np.int16)
    assert np.array_equal(image.read().voxels, RAMP)


def test_each_triple_of_the_matrix_is_the_direction_of_an_axis(meta: Write) -> None:
    image = open_image(meta(TransformMatrix="0 1 0 0 0 1 1 0 0"))
    assert image.ras_from_voxel[:3, :3].tolist() == [[0, 0, -3], [-1, 0, 0], [0, 2, 0]]


@pytest.mark.parametrize("matrix", ["TransformMatrix", "Rotation", "Orientation"])
@pytest.mark.parametrize("origin", ["Offset", "Position", "Origin"])
@pytest.mark.parametrize("spacing", ["ElementSpacing", "ElementSize"])
def test_older_names_of_the_fields(meta: Write, matrix: str, origin: str, spacing: str) -> None:
    dropped = dict.fromkeys(("TransformMatrix", "Offset", "ElementSpacing"))
    image = open_image(meta(**dropped | {matrix: "1 0 0 0 1 0 0 0 1", origin: "10 20 30", spacing: "1 2 3"}))
    assert np.array_equal(image.ras_from_voxel, PLACE)


def test_without_a_matrix_lps_is_assumed_and_said(meta: Write, caplog: pytest.LogCaptureFixture) -> None:
    image = open_image(meta(TransformMatrix=None))
    assert np.array_equal(image.ras_from_voxel, PLACE)
    assert image.affine_source is AffineSource.ASSUMED
    assert "metaimage_without_orientation" in caplog.text
    bare = open_image(meta(TransformMatrix=None, Offset=None, ElementSpacing=None))
    assert np.array_equal(bare.ras_from_voxel, np.diag([-1, -1, 1, 1]))


@pytest.mark.parametrize(
    ("name", "code"),
    [("CHAR", "i1"), ("UCHAR", "u1"), ("USHORT", "u2"), ("INT", "i4"), ("UINT", "u4"), ("LONG", "i4"), ("ULONG", "u4"),
     ("LONG_LONG", "i8"), ("ULONG_LONG", "u8"), ("FLOAT", "f4"), ("DOUBLE", "f8")],
)  # fmt: skip
@pytest.mark.parametrize("key", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
@pytest.mark.parametrize("big", [True, False])
def test_every_type_in_either_byte_order(meta: Write, name: str, code: str, key: str, *, big: bool) -> None:
    stored = RAMP.astype(np.dtype(code).newbyteorder(">" if big else "<"))
    order = {"BinaryDataByteOrderMSB": None} | {key: str(big)}
    volume = read_image(meta(**order, ElementType=f"MET_{name}", data=stored.tobytes(order="F")))
    assert volume.voxels.dtype == np.dtype(code)
    assert np.array_equal(volume.voxels, RAMP)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_compressed_voxels_in_the_file_and_beside_it(
    meta: Write, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    assert np.array_equal(read_image(meta(CompressedData="True", data=pack(BYTES))).voxels, RAMP)
    (tmp_path / "Vöxel 1.zraw").write_bytes(pack(BYTES))
    path = meta(name="v.mhd", CompressedData="True", ElementDataFile="Vöxel 1.zraw", data=b"")
    assert np.array_equal(read_image(path).voxels, RAMP)


def test_raw_voxels_beside_the_header(meta: Write, tmp_path: Path) -> None:
    (tmp_path / "v.raw").write_bytes(b"junk" + BYTES)
    for size in ("4", "-1"):
        path = meta(name="v.mhd", ElementDataFile="v.raw", HeaderSize=size, data=b"")
        assert np.array_equal(read_image(path).voxels, RAMP)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # the last line may not end
    assert np.array_equal(read_image(path).voxels, RAMP)


def test_voxels_at_the_end_of_their_own_file(meta: Write) -> None:
    assert np.array_equal(read_image(meta(HeaderSize="-1", data=b"junk" + BYTES)).voxels, RAMP)


def test_data_file_outside_the_folder_is_refused(meta: Write, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "v.raw").write_bytes(BYTES)
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "v.raw")
    for name in ("../v.raw", str(tmp_path / "v.raw"), "link.raw", "./../v.raw"):
        with pytest.raises(VolumeReadError, match="must lie in the folder of its header"):
            read_image(meta(name="in/v.mhd", ElementDataFile=name, data=b""))


def test_absent_data_file_is_named(meta: Write) -> None:
    with pytest.raises(VolumeReadError, match=r"No such file.*'absent.raw'"):
        read_image(meta(name="v.mhd", ElementDataFile="absent.raw", data=b""))


def test_fourth_axis_counts_volumes(meta: Write) -> None:
    four = {"NDims": "4", "DimSize": "2 3 4 5", "Offset": "10 20 30 40", "ElementSpacing": "1 2 3 4"}
    straight = "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"
    image = open_image(meta(**four, TransformMatrix=straight, data=FOUR.tobytes(order="F")))
    assert (image.shape, image.volume_count) == ((2, 3, 4), 5)
    assert np.array_equal(image.ras_from_voxel, PLACE)
    assert np.array_equal(image.read_all()[4].voxels, FOUR[..., 4])
    for mixed in ("1 0 0 1 0 1 0 0 0 0 1 0 0 0 0 1", "1 0 0 0 0 1 0 0 0 0 1 0 0 1 0 1"):
        with pytest.raises(VolumeReadError, match="must not mix with space"):
            open_image(meta(**four, TransformMatrix=mixed, data=FOUR.tobytes(order="F")))


def test_channels_are_volumes(meta: Write) -> None:
    image = open_image(meta(ElementNumberOfChannels="5", data=np.moveaxis(FOUR, 3, 0).tobytes(order="F")))
    assert (image.shape, image.volume_count) == ((2, 3, 4), 5)
    volumes = image.read_all()
    assert all(np.array_equal(volume.voxels, FOUR[..., index]) for index, volume in enumerate(volumes))
    assert volumes[0].voxels.flags.f_contiguous


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ObjectType": "Tube"}, "only images"),
        ({"NDims": "2", "DimSize": "6 4"}, "not three axes; export the whole series"),
        ({"NDims": "5", "DimSize": "2 3 4 1 1"}, "neither three nor four axes"),
        ({"NDims": None}, "has no 'NDims'"),
        ({"NDims": "x"}, "whole number"),
        ({"DimSize": "2 3 0"}, "lengths above zero"),
        ({"DimSize": "2 3"}, "3 lengths"),
        ({"DimSize": "20000 30000 40000"}, "promises"),
        ({"DimSize": "20000 30000 40000", "CompressedData": "True"}, "more than can lie in the file"),
        ({"ElementType": "MET_FLOAT_ARRAY"}, "plain integers or floats"),
        ({"ElementType": None}, "has no 'ElementType'"),
        ({"ElementNumberOfChannels": "3", "ElementType": "MET_UCHAR"}, "colours"),
        ({"ElementNumberOfChannels": "0"}, "at least 1"),
        ({"ElementNumberOfChannels": "2", "NDims": "4", "DimSize": "2 3 4 5"}, "five axes"),
        ({"BinaryData": "False"}, "voxels in text"),
        ({"BinaryData": "maybe"}, "True or False"),
        ({"CompressedData": "True"}, "zlib data are damaged"),
        ({"ElementToIntensityFunctionSlope": "2"}, "programs differ"),
        ({"ElementToIntensityFunctionOffset": "-1024"}, "programs differ"),
        ({"ElementSpacing": "1 2 0"}, "numbers above zero"),
        ({"ElementSpacing": "1 -2 3"}, "numbers above zero"),
        ({"ElementSpacing": "1 2 nan"}, "numbers above zero"),
        ({"ElementSpacing": "1 2"}, "3 numbers"),
        ({"Offset": "1 2 inf"}, "finite numbers"),
        ({"Offset": "1 2 x"}, "finite numbers"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0"}, "9 finite numbers"),
        ({"TransformMatrix": "1 0 0 0 1 0 1 1 0"}, "singular"),
        ({"HeaderSize": "4"}, "programs differ"),
        ({"HeaderSize": "-1", "CompressedData": "True"}, "programs differ"),
        ({"HeaderSize": "-2"}, "at least -1"),
        ({"ElementDataFile": "LIST"}, "several files"),
        ({"ElementDataFile": "v%03d.raw 1 4 1"}, "several files"),
        ({"ElementDataFile": None}, "truncated or no MetaImage"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    meta: Write, changes: dict[str, str | None], reason: str
) -> None:
    path = meta(**changes, **({"data": b""} if "ElementDataFile" in changes else {}))
    with pytest.raises(VolumeReadError, match=reason) as caught:
        read_image(path)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"NRRD0005\n", "no MetaImage"), (b"\n\n", "truncated or no MetaImage"),
     (b"ObjectType = Image\nNDi", "no MetaImage"), (b"NDims = 3\n", "truncated or no MetaImage"),
     (gzip.compress(b"ObjectType = Image\n"), "no MetaImage")],
)  # fmt: skip
def test_what_is_no_whole_header_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "v.mha").write_bytes(content)
    with pytest.raises(VolumeReadError, match=reason):
        open_image(tmp_path / "v.mha")


def test_colons_blanks_and_windows_line_ends_are_harmless(meta: Write) -> None:
    path = meta(Comment="anything = goes")
    head = path.read_bytes().removesuffix(BYTES)
    path.write_bytes(head.replace(b" = ", b" : ").replace(b"\n", b"\r\n") + BYTES)
    assert np.array_equal(read_image(path).voxels, RAMP)
    path.write_bytes(head.replace(b" = ", b"=") + BYTES)
    assert np.array_equal(read_image(path).voxels, RAMP)


def test_simpleitk_reads_what_is_written(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"):
        write_image(tmp_path / "v.mha", Volume(RAMP.astype(code), PLACE))
        image = sitk.ReadImage(str(tmp_path / "v.mha"))
        voxels = sitk.GetArrayFromImage(image).transpose()
        assert np.array_equal(voxels, RAMP.astype(code))
        assert voxels.dtype == np.dtype(np.uint8 if code == "?" else code)
        assert (image.GetSpacing(), image.GetOrigin()) == ((1, 2, 3), (10, 20, 30))


def test_simpleitk_reads_written_volumes_as_a_fourth_axis(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    write_images(tmp_path / "v.mha", [Volume(FOUR[..., n], PLACE) for n in range(5)])
    image = sitk.ReadImage(str(tmp_path / "v.mha"))
    assert image.GetSize() == (2, 3, 4, 5)
    assert np.array_equal(sitk.GetArrayFromImage(image).transpose(), FOUR)


@pytest.mark.parametrize(("name", "packed"), [("a.mha", False), ("b.mha", True), ("c.mhd", False), ("d.mhd", True)])
def test_what_simpleitk_writes_is_read(tmp_path: Path, name: str, *, packed: bool) -> None:
    sitk = pytest.importorskip("SimpleITK")
    for vector in (True, False):
        turned = FOUR.transpose(2, 1, 0, 3) if vector else FOUR.transpose()
        image = sitk.GetImageFromArray(np.ascontiguousarray(turned), isVector=vector)
        image.SetSpacing((1, 2, 3) if vector else (1, 2, 3, 1))
        image.SetOrigin((10, 20, 30) if vector else (10, 20, 30, 0))
        sitk.WriteImage(image, str(tmp_path / name), packed)
        found = open_image(tmp_path / name)
        assert np.array_equal(found.ras_from_voxel, PLACE)
        assert np.array_equal(np.stack([v.voxels for v in found.read_all()], axis=-1), FOUR)


def test_half_floats_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(VoxelError, match="float16"):
        write_image(tmp_path / "v.mha", Volume(RAMP.astype(np.float16), PLACE))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 330), junk=st.binary(max_size=6), drop=st.integers(0, 12))
def test_any_damage_to_a_header_gives_a_volume_or_a_read_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes, drop: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.mha"
    data = encode_metaimage(RAMP, PLACE)
    path.write_bytes(data[:place] + junk + data[place + drop :])
    with suppress(VolumeReadError):
        read_image(path)
