import gzip
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import Volume, VolumeReadError, VoxelError
from tds_data.formats import AffineSource, Format, open_image, read_image, write_image, write_images
from tds_data.formats._nrrd import encode_nrrd

RAMP = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
BYTES = RAMP.tobytes(order="F")
LPS = np.array([[-1.0, 0, 0, -10], [0, -2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])
Write = Callable[..., Path]


def signed(x: float, y: float) -> np.ndarray:
    return np.diag([x, y, 1.0, 1.0]) @ np.array([[1.0, 0, 0, 10], [0, 2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("space", "affine"),
    [
        ("right-anterior-superior", signed(1, 1)),
        ("RAS", signed(1, 1)),
        ("Left-Anterior-Superior", signed(-1, 1)),
        ("las", signed(-1, 1)),
        ("left-posterior-superior", LPS),
        ("LPS", LPS),
    ],
)
def test_world_axes_become_ras(nrrd: Write, space: str, affine: np.ndarray) -> None:
    image = open_image(nrrd(space=space))
    assert np.array_equal(image.ras_from_voxel, affine)
    assert (image.format, image.affine_source) == (Format.NRRD, AffineSource.HEADER)
    assert (image.shape, image.volume_count, image.dtype) == ((2, 3, 4), 1, np.int16)
    assert image.spacing_mm == (1, 2, 3)
    assert np.array_equal(image.read().voxels, RAMP)


@pytest.mark.parametrize("space", ["scanner-xyz", "3D-left-handed", "RSA", "time", ""])
def test_space_of_no_patient_is_refused(nrrd: Write, space: str) -> None:
    with pytest.raises(VolumeReadError, match="left from right"):
        open_image(nrrd(space=space))


def test_without_space_lps_is_assumed_and_said(nrrd: Write, caplog: pytest.LogCaptureFixture) -> None:
    image = open_image(nrrd(space=None, space_dimension="3"))
    assert np.array_equal(image.ras_from_voxel, LPS)
    assert image.affine_source is AffineSource.ASSUMED
    assert "nrrd_without_orientation" in caplog.text


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({}, (0, 0, 0)),
        ({"axis_mins": "5 6 7"}, (-5.5, -7, 8.5)),
        ({"axis_mins": "5 6 7", "centerings": "node node node"}, (-5, -6, 7)),
        ({"axismins": "5 6 7", "centers": "cell node ???"}, (-5.5, -6, 8.5)),
        ({"space": "LPS", "space_origin": "(5,6,7)", "axis mins": "1 1 1"}, (-5, -6, 7)),
    ],
)
def test_spacings_make_an_assumed_affine(
    nrrd: Write, changes: dict[str, str], origin: tuple[float, float, float], caplog: pytest.LogCaptureFixture
) -> None:
    dropped = dict.fromkeys(("space", "space_directions", "space_origin"))
    image = open_image(nrrd(**dropped | {"spacings": "1 2 3"} | changes))
    assert np.array_equal(image.ras_from_voxel[:3, :3], np.diag([-1, -2, 3]))
    assert image.ras_from_voxel[:3, 3].tolist() == list(origin)
    assert image.affine_source is AffineSource.ASSUMED
    assert "nrrd_without_orientation" in caplog.text


def test_without_spacings_voxels_are_of_one_millimetre(nrrd: Write) -> None:
    path = nrrd(space=None, space_directions=None, space_origin=None)
    assert open_image(path).spacing_mm == (1, 1, 1)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("m", 1000), ("cm", 10), ("um", 0.001), ("µm", 0.001)])
def test_units_become_millimetres(nrrd: Write, unit: str, factor: float, caplog: pytest.LogCaptureFixture) -> None:
    image = open_image(nrrd(space_units=f'"{unit}" "{unit}" "{unit}"'))
    assert np.allclose(image.ras_from_voxel, np.diag([factor, factor, factor, 1]) @ LPS)
    assert ("nrrd_unit_converted" in caplog.text) == (factor != 1)


def test_unknown_units_are_taken_for_millimetres_and_said(nrrd: Write, caplog: pytest.LogCaptureFixture) -> None:
    assert np.array_equal(open_image(nrrd(space_units='"furlong" "furlong" "furlong"')).ras_from_voxel, LPS)
    assert "nrrd_unit_unknown" in caplog.text


@pytest.mark.parametrize(
    ("name", "code"),
    [("signed char", "i1"), ("uint8_t", "u1"), ("unsigned short int", "u2"), ("int", "i4"), ("uint32", "u4"),
     ("longlong", "i8"), ("unsigned long long", "u8"), ("float", "f4"), ("double", "f8")],
)  # fmt: skip
@pytest.mark.parametrize("endian", ["little", "big", "BIG"])
def test_every_type_in_either_byte_order(nrrd: Write, name: str, code: str, endian: str) -> None:
    stored = RAMP.astype(np.dtype(code).newbyteorder(endian.lower()[0].translate(str.maketrans("lb", "<>"))))
    image = open_image(nrrd(type=name, endian=endian, data=stored.tobytes(order="F")))
    assert image.stored_dtype == stored.dtype
    assert image.dtype == np.dtype(code)
    volume = image.read()
    assert volume.voxels.dtype == np.dtype(code)
    assert np.array_equal(volume.voxels, RAMP)


def test_bytes_need_no_byte_order(nrrd: Write) -> None:
    path = nrrd(type="uchar", endian=None, data=RAMP.astype(np.uint8).tobytes(order="F"))
    assert np.array_equal(read_image(path).voxels, RAMP)


@pytest.mark.parametrize("encoding", ["gzip", "gz", "GZIP"])
def test_gzip_encoding(nrrd: Write, encoding: str) -> None:
    assert np.array_equal(read_image(nrrd(encoding=encoding, data=gzip.compress(BYTES))).voxels, RAMP)


def test_lines_and_bytes_before_the_voxels_are_skipped(nrrd: Write) -> None:
    for changes in (
        {"line_skip": "2", "byte_skip": "3", "data": b"one\n\nabc" + BYTES},
        {"lineskip": "1", "byteskip": "3", "encoding": "gzip", "data": b"one\n" + gzip.compress(b"abc" + BYTES)},
        {"byte_skip": "-1", "data": b"whatever" + BYTES},
        {"line_skip": "1", "byte_skip": "-1", "data": b"one\nwhatever" + BYTES},
    ):
        assert np.array_equal(read_image(nrrd(**changes)).voxels, RAMP)


def test_detached_voxels(nrrd: Write, tmp_path: Path) -> None:
    (tmp_path / "Vöxel 1.raw").write_bytes(BYTES)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "v.raw.gz").write_bytes(gzip.compress(BYTES))
    assert np.array_equal(read_image(nrrd(name="a.nhdr", data_file="Vöxel 1.raw", data=b"")).voxels, RAMP)
    path = nrrd(name="b.nhdr", datafile="sub/v.raw.gz", encoding="gzip", data=b"")
    path.write_bytes(path.read_bytes().removesuffix(b"\n\n"))  # a detached header may end with the file
    assert np.array_equal(read_image(path).voxels, RAMP)


def test_data_file_outside_the_folder_is_refused(nrrd: Write, tmp_path: Path) -> None:
    outside = tmp_path / "outside.raw"
    outside.write_bytes(BYTES)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.raw").symlink_to(outside)
    (folder / "loop.raw").symlink_to(folder / "loop.raw")
    for name in (
        "../outside.raw",
        str(outside),
        "link.raw",
        "sub/../../outside.raw",
        "loop.raw",
        "a\0b",
        "../in/v.nhdr",
    ):
        with pytest.raises(VolumeReadError, match=r"must lie in the folder|names no file"):
            read_image(nrrd(name="in/v.nhdr", data_file=name, data=b""))


def test_absent_data_file_is_named(nrrd: Write) -> None:
    with pytest.raises(VolumeReadError, match=r"No such file.*'absent.raw'.*check the path"):
        read_image(nrrd(name="v.nhdr", data_file="absent.raw", data=b""))


FOUR = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", ["list", "time", "vector", "???"])
def test_list_axis_may_be_anywhere(nrrd: Write, place: int, kind: str) -> None:
    stored = np.moveaxis(FOUR, 3, place)
    directions, kinds = ["(1,0,0)", "(0,2,0)", "(0,0,3)"], ["domain", "space", "domain"]
    directions.insert(place, "none")
    kinds.insert(place, kind)
    image = open_image(
        nrrd(
            dimension="4",
            sizes=" ".join(map(str, stored.shape)),
            space_directions=" ".join(directions),
            kinds=" ".join(kinds),
            data=stored.tobytes(order="F"),
        )
    )
    assert (image.shape, image.volume_count) == ((2, 3, 4), 5)
    assert np.array_equal(image.ras_from_voxel, LPS)
    volumes = image.read_all()
    assert [np.array_equal(volume.voxels, FOUR[..., index]) for index, volume in enumerate(volumes)] == [True] * 5
    with pytest.raises(VolumeReadError, match="one file per sequence"):
        image.read()


def test_list_axis_without_directions_is_the_one_of_its_kind_or_the_last(nrrd: Write) -> None:
    dropped = dict.fromkeys(("space", "space_directions", "space_origin"))
    first = np.moveaxis(FOUR, 3, 0)
    path = nrrd(**dropped, dimension="4", sizes="5 2 3 4", kinds="list domain domain domain",
                spacings="nan 1 2 3", data=first.tobytes(order="F"))  # fmt: skip
    assert np.array_equal(open_image(path).read_all()[4].voxels, FOUR[..., 4])
    path = nrrd(**dropped, dimension="4", sizes="2 3 4 5", spacings="1 2 3 nan", data=FOUR.tobytes(order="F"))
    assert np.array_equal(open_image(path).read_all()[1].voxels, FOUR[..., 1])
    assert open_image(path).spacing_mm == (1, 2, 3)


@pytest.mark.parametrize("space", ["left-posterior-superior-time", "LPST", None])
def test_fourth_axis_in_time_counts_volumes(nrrd: Write, space: str | None) -> None:
    changes = {"space": space, "dimension": "4", "sizes": "2 3 4 5", "space_origin": "(10,20,30,0)"}
    changes |= {"space_dimension": "4"} if space is None else {}
    data = FOUR.tobytes(order="F")
    path = nrrd(**changes, space_directions="(1,0,0,0) (0,2,0,0) (0,0,3,0) (0,0,0,7)", data=data)
    image = open_image(path)
    assert np.array_equal(image.ras_from_voxel, LPS)
    assert np.array_equal(image.read_all()[3].voxels, FOUR[..., 3])
    with pytest.raises(VolumeReadError, match="must not move in time"):
        open_image(nrrd(**changes, space_directions="(1,0,0,1) (0,2,0,0) (0,0,3,0) (0,0,0,7)", data=data))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "block"}, "plain integers or floats"),
        ({"type": None}, "has no 'type'"),
        ({"encoding": "bzip2"}, "only raw and gzip"),
        ({"encoding": None}, "has no 'encoding'"),
        ({"endian": "middle"}, "little or big"),
        ({"endian": None}, "little or big"),
        ({"dimension": None}, "has no .dimension."),
        ({"dimension": "three"}, "whole number"),
        ({"dimension": "2", "sizes": "6 4"}, "not three axes; export the whole series"),
        ({"dimension": "5", "sizes": "2 3 4 1 1"}, "neither three nor four axes"),
        ({"sizes": "2 3"}, "must give 3 lengths"),
        ({"sizes": "2 3 -4"}, "lengths above zero"),
        ({"sizes": "2 3 0"}, "lengths above zero"),
        ({"sizes": "2 3 4.0"}, "lengths above zero"),
        ({"sizes": "2 3 999999999999999999"}, "lengths above zero"),
        ({"sizes": "20000 30000 40000"}, "promises"),
        ({"space_directions": "(1,0,0) (0,2,0) (0,0,nan)"}, "finite numbers"),
        ({"space_directions": "(1,0,0) (0,2,0) (0,0,x)"}, "finite numbers"),
        ({"space_directions": "(1,0,0) (0,2,0) (0,0)"}, "vectors of 3"),
        ({"space_directions": "(1,0,0) (0,2,0) junk"}, "vectors of 3"),
        ({"space_directions": "(1,0,0) (0,2,0)"}, "each of 3 axes"),
        ({"space_directions": "(1,0,0) (0,2,0) none"}, "three axes must have a direction"),
        ({"space_directions": "(1,0,0) (0,2,0) (0,0,0)"}, "singular"),
        ({"space_directions": "(1,0,0) (0,2,0) (1,2,0)"}, "singular"),
        ({"space_origin": "(1,2)"}, "vectors of 3"),
        ({"space_origin": "none"}, "one vector"),
        ({"space_origin": "(1,2,3) (4,5,6)"}, "one vector"),
        ({"space_directions": None, "spacings": "1 2 0"}, "above zero"),
        ({"space_directions": None, "spacings": "1 -2 3"}, "above zero"),
        ({"space_directions": None, "spacings": "1 2 nan"}, "a number for each"),
        ({"space_directions": None, "spacings": "1 2"}, "a number for each"),
        ({"space_directions": None, "space_origin": None, "axis_mins": "a b c"}, "a number for each"),
        ({"kinds": "RGB-color domain domain"}, "no kind that a volume has"),
        ({"kinds": "domain domain list"}, "no kind that a volume has"),
        ({"kinds": "domain domain"}, "a kind for each"),
        ({"space_units": '"mm" "m" "mm"'}, "one unit"),
        ({"space_dimension": "x", "space": None}, "whole number"),
        ({"data_file": "LIST"}, "several files"),
        ({"data_file": "v%03d.raw 1 4 1"}, "several files"),
        ({"byte_skip": "-2"}, "at least -1"),
        ({"line_skip": "-1"}, "at least 0"),
        ({"line_skip": "9"}, "fewer lines"),
        ({"byte_skip": "9"}, "promises"),
        ({"byte_skip": "-1", "sizes": "3 3 4"}, "promises"),
        ({"byte_skip": "-1", "encoding": "gzip"}, "only works with raw"),
        ({"encoding": "gzip"}, "gzip data are damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(
    nrrd: Write, changes: dict[str, str | None], reason: str
) -> None:
    path = nrrd(**changes)
    with pytest.raises(VolumeReadError, match=reason) as caught:
        read_image(path)
    assert caught.value.path == path


@pytest.mark.parametrize("kinds", ["complex", "3-color", "RGBA-color", "quaternion", "3D-symmetric-matrix"])
def test_colours_and_complex_numbers_are_refused(nrrd: Write, kinds: str) -> None:
    path = nrrd(dimension="4", sizes="2 1 3 4", kinds=f"{kinds} domain domain domain",
                space_directions="none (1,0,0) (0,2,0) (0,0,3)")  # fmt: skip
    with pytest.raises(VolumeReadError, match="no kind that a volume has"):
        open_image(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"P5 2 3", "no NRRD file"),
        (b"NRRD0009\ntype: short\n\n", "no NRRD file"),
        (b"NRRD0005\ntype: short\nsizes: 2", "breaks off"),
        (b"NRRD0005\ntype: short\ntype: float\n\n", "twice"),
        (b"NRRD0005\n\n", "has no"),
        (b"NRRD0005\n" + b"#" * (1 << 20), "does not end"),
        (gzip.compress(b"NRRD0005\n\n"), "no NRRD file"),
    ],
)
def test_what_is_no_whole_header_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "v.nrrd").write_bytes(content)
    with pytest.raises(VolumeReadError, match=reason):
        open_image(tmp_path / "v.nrrd")


def test_comments_pairs_and_windows_line_ends_are_harmless(nrrd: Write) -> None:
    path = nrrd()
    head, data = path.read_bytes().split(b"\n\n", 1)
    head += b"\n# comment: x\nSegment0_Name:=a: b\nno colon here\nUnknown Field: 7"
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)
    assert np.array_equal(read_image(path).voxels, RAMP)


def test_pynrrd_and_simpleitk_read_what_is_written(tmp_path: Path) -> None:
    pynrrd, sitk = pytest.importorskip("nrrd"), pytest.importorskip("SimpleITK")
    affine = np.array([[0.9, -0.3, 0.1, 1 / 3], [0.2, 1.4, 0, -2], [0, 0.1, 2.2, 7e-5], [0, 0, 0, 1]])
    for code in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"):
        path = tmp_path / "v.nrrd"
        write_image(path, Volume(RAMP.astype(code), affine))
        data, header = pynrrd.read(str(path))
        assert np.array_equal(data, RAMP.astype(code))
        assert data.dtype == np.dtype(np.uint8 if code == "?" else code)
        assert np.array_equal(header["space directions"].T, (np.diag([-1, -1, 1]) @ affine[:3, :3]))
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))).transpose(), RAMP.astype(code))
        assert np.array_equal(open_image(path).ras_from_voxel, affine)


def test_pynrrd_reads_written_lists(tmp_path: Path) -> None:
    pynrrd = pytest.importorskip("nrrd")
    write_images(tmp_path / "v.nrrd", [Volume(FOUR[..., n], LPS) for n in range(5)])
    data, header = pynrrd.read(str(tmp_path / "v.nrrd"))
    assert np.array_equal(data, FOUR)
    assert header["kinds"] == ["domain", "domain", "domain", "list"]


@pytest.mark.parametrize(("encoding", "detached"), [("raw", False), ("gzip", False), ("raw", True), ("gzip", True)])
def test_what_pynrrd_writes_is_read(tmp_path: Path, encoding: str, *, detached: bool) -> None:
    pynrrd = pytest.importorskip("nrrd")
    path = tmp_path / ("v.nhdr" if detached else "v.nrrd")
    header = {"space": "RAS", "space directions": [[0.9, 0.1, 0], [0, 1.5, 0], [0.2, 0, 3]], "space origin": [1, 2, 3]}
    pynrrd.write(str(path), RAMP.astype(">f4"), {**header, "encoding": encoding, "kinds": ["domain"] * 3})
    volume = read_image(path)
    assert np.array_equal(volume.voxels, RAMP)
    assert volume.ras_from_voxel[:3].tolist() == [[0.9, 0, 0.2, 1], [0.1, 1.5, 0, 2], [0, 0, 3, 3]]


def test_what_simpleitk_writes_is_read(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(FOUR.transpose(2, 1, 0, 3).copy(), isVector=True)
    image.SetSpacing((1, 2, 3))
    image.SetOrigin((10, 20, 30))
    for name, packed in [("a.nrrd", False), ("b.nrrd", True), ("c.nhdr", False), ("d.nhdr", True)]:
        sitk.WriteImage(image, str(tmp_path / name), packed)
        found = open_image(tmp_path / name)
        assert np.array_equal(found.ras_from_voxel, LPS)
        assert np.array_equal(np.stack([v.voxels for v in found.read_all()], axis=-1), FOUR)


def test_half_floats_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(VoxelError, match="float16"):
        write_image(tmp_path / "v.nrrd", Volume(RAMP.astype(np.float16), LPS))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 260), junk=st.binary(max_size=6), drop=st.integers(0, 12))
def test_any_damage_to_a_header_gives_a_volume_or_a_read_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes, drop: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.nrrd"
    data = encode_nrrd(RAMP, LPS)
    path.write_bytes(data[:place] + junk + data[place + drop :])
    with suppress(VolumeReadError):
        read_image(path)
