import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data.curation import ArchiveLimits, unpack_archive
from tds_data.errors import ArchiveRefused, VolumeWriteError

Entry = tuple[str, bytes | tarfile.TarInfo]


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


def tar_of(path: Path, *entries: Entry, mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]  # a mode of any kind
        for name, content in entries:
            if isinstance(content, bytes):
                tar.addfile(info(name, size=len(content)), io.BytesIO(content))
            else:
                content.name = name
                tar.addfile(content)
    return path


def zip_of(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in entries:
            zipped.writestr(name, content)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[Path], str]:
    """Unpack what must be refused, see that nothing is left, and return the reason."""

    def unpack(archive: Path, **limits: float) -> str:
        before = sorted(p.name for p in tmp_path.iterdir())
        with pytest.raises(ArchiveRefused) as caught:
            unpack_archive(archive, tmp_path / "out", limits=ArchiveLimits(**limits))  # type: ignore[arg-type]
        assert sorted(p.name for p in tmp_path.iterdir()) == before
        return str(caught.value)

    return unpack


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_becomes_a_folder(tmp_path: Path, mode: str) -> None:
    archive = tar_of(tmp_path / "a.bin", ("./a/b.txt", b"one"), ("a/empty", info("", tarfile.DIRTYPE)), mode=mode)
    told: list[tuple[int, int, str]] = []
    unpacked = unpack_archive(archive, tmp_path / "out", progress=lambda *now: told.append(now))
    assert files_of(tmp_path / "out") == {"a/b.txt": b"one"}
    assert (tmp_path / "out/a/empty").is_dir()
    assert (unpacked.folder, unpacked.files, unpacked.size_bytes, unpacked.notes) == (tmp_path / "out", 1, 3, ())
    assert told
    assert all(0 <= done <= total == archive.stat().st_size and what == "a.bin" for done, total, what in told)


def test_zip_becomes_a_folder(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", ("a/", b""), ("a/b.txt", b"one"), ("c.txt", b""))
    unpacked = unpack_archive(archive, tmp_path / "out")
    assert files_of(tmp_path / "out") == {"a/b.txt": b"one", "c.txt": b""}
    assert (unpacked.files, unpacked.size_bytes) == (2, 3)


def test_only_folder_of_the_targets_name_becomes_the_target(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "a.tar",
        ("out", info("", tarfile.DIRTYPE)),
        ("out/x", b"1"),
        ("out/out", b"2"),
        ("out/link", info("", tarfile.SYMTYPE, "x")),
        ("._out", b"junk"),
    )
    unpack_archive(archive, tmp_path / "out")
    assert files_of(tmp_path / "out") == {"x": b"1", "out": b"2", "link": b"1"}


@pytest.mark.parametrize("others", [("b/y", b"2"), ("a", info("", tarfile.SYMTYPE, "x"))])
def test_other_content_keeps_its_folders(tmp_path: Path, others: Entry) -> None:
    archive = tar_of(tmp_path / "a.tar", ("x/x", b"1"), others)
    unpack_archive(archive, tmp_path / "out")
    assert (tmp_path / "out/x/x").read_bytes() == b"1"


def test_files_that_macos_adds_are_left_out_with_a_note(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", ("a/x", b"1"), ("a/._x", b"2"), ("__MACOSX/a/x", b"3"), ("a/.DS_Store", b"4"))
    unpacked = unpack_archive(archive, tmp_path / "out")
    assert files_of(tmp_path / "out") == {"a/x": b"1"}
    assert unpacked.notes == ("left out 3 files that macOS adds",)


def test_names_with_spaces_and_any_letters_are_kept(tmp_path: Path) -> None:
    names = ["Größe ü/脑 1.nii", "e\u0301.txt", "🧠"]
    tar_of(tmp_path / "a.tar", *((name, name.encode()) for name in names))
    zip_of(tmp_path / "a.zip", *((name, name.encode()) for name in names))
    for archive in (tmp_path / "a.tar", tmp_path / "a.zip"):
        unpack_archive(archive, tmp_path / f"out {archive.suffix}")
        assert files_of(tmp_path / f"out {archive.suffix}") == {name: name.encode() for name in names}


def test_zip_names_in_utf8_without_the_flag_are_read_as_meant(tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip", ("ü.txt", b"1")).read_bytes())
    flag = 0x0800.to_bytes(2, "little")
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(start) + offset
        assert data[place : place + 2] == flag
        data[place : place + 2] = b"\0\0"
    (tmp_path / "a.zip").write_bytes(data)
    unpack_archive(tmp_path / "a.zip", tmp_path / "out")
    assert files_of(tmp_path / "out") == {"ü.txt": b"1"}
    (tmp_path / "b.zip").write_bytes(bytes(data).replace("ü".encode(), b"\x84a"))  # no UTF-8: the old code page then
    unpack_archive(tmp_path / "b.zip", tmp_path / "old")
    assert files_of(tmp_path / "old") == {"äa.txt": b"1"}


def test_links_inside_the_folder_work(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "a.tar",
        ("d/link", info("", tarfile.SYMTYPE, "../x")),
        ("new/folder/link", info("", tarfile.SYMTYPE, "../../d")),
        ("x", b"one"),
        ("hard", info("", tarfile.LNKTYPE, "./x")),
    )
    unpacked = unpack_archive(archive, tmp_path / "out")
    assert (tmp_path / "out/d/link").read_bytes() == (tmp_path / "out/hard").read_bytes() == b"one"
    assert (tmp_path / "out/new/folder/link/link").read_bytes() == b"one"
    assert unpacked.size_bytes == 6


def test_zip_link_inside_the_folder_works(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    unpack_archive(zip_of(tmp_path / "a.zip", ("x", b"one"), (link, b"x")), tmp_path / "out")
    assert (tmp_path / "out/link").is_symlink()
    assert (tmp_path / "out/link").read_bytes() == b"one"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "//x", "C:/x", "a\\..\\x", "..", "a/\x07"])
def test_names_that_leave_the_folder_are_refused(refused: Callable[..., str], tmp_path: Path, name: str) -> None:
    assert "does not stay in the folder" in refused(tar_of(tmp_path / "a.tar", ("ok", b"1"), (name, b"2")))
    assert "does not stay in the folder" in refused(zip_of(tmp_path / "a.zip", ("ok", b"1"), (name, b"2")))


def test_name_that_is_no_text_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(os.fsdecode(b"a\xff")))
    assert "does not stay in the folder" in refused(tmp_path / "a.tar")


@pytest.mark.parametrize("link", ["../x", "/etc/passwd", "nothing", "self", "d/e/f/up/../../..", "out/../..", ""])
def test_symbolic_links_that_leave_the_folder_are_refused(
    refused: Callable[..., str], tmp_path: Path, link: str
) -> None:
    (tmp_path / "x").write_bytes(b"outside")
    archive = tar_of(
        tmp_path / "a.tar",
        ("d/e/f/up", info("", tarfile.SYMTYPE, "../../..")),  # a link to the root makes a path that looks inside go out
        ("self", info("", tarfile.SYMTYPE, link)),
    )
    assert "symbolic link" in refused(archive)


def test_circle_of_links_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    links = [("a", info("", tarfile.SYMTYPE, "b")), ("b", info("", tarfile.SYMTYPE, "a"))]
    assert "in a circle" in refused(tar_of(tmp_path / "a.tar", *links))


def test_nothing_is_written_through_a_link(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    archive = tar_of(tmp_path / "a.tar", ("l", info("", tarfile.SYMTYPE, "../outside")), ("l/x", b"1"))
    assert "cannot be made here" in refused(archive)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", ["l/x", "l/new/x"])
def test_no_link_and_no_folder_is_made_through_a_link(refused: Callable[..., str], tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    links = [("l", info("", tarfile.SYMTYPE, "../outside")), (name, info("", tarfile.SYMTYPE, "y"))]
    assert f"'{name}' would lie behind 'l', a symbolic link" in refused(tar_of(tmp_path / "a.tar", *links))
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("link", ["../x", "/etc/passwd", "later", "hard", "sym"])
def test_hard_links_to_anything_but_an_earlier_file_are_refused(
    refused: Callable[..., str], tmp_path: Path, link: str
) -> None:
    (tmp_path / "x").write_bytes(b"outside")
    entries: list[Entry] = [
        ("sym", info("", tarfile.SYMTYPE, "x")),
        ("hard", info("", tarfile.LNKTYPE, link)),
        ("later", b"1"),
    ]
    assert "is a hard link to no file" in refused(tar_of(tmp_path / "a.tar", *entries))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(refused: Callable[..., str], tmp_path: Path, kind: bytes) -> None:
    assert "is a device or pipe" in refused(tar_of(tmp_path / "a.tar", ("dev", info("", kind))))


def test_device_in_a_zip_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    device = zipfile.ZipInfo("dev")
    device.external_attr = 0o020666 << 16
    assert "is a device or pipe" in refused(zip_of(tmp_path / "a.zip", (device, b"")))


def test_file_that_occurs_twice_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "holds 'a/x' twice" in refused(tar_of(tmp_path / "a.tar", ("a/x", b"1"), ("./a//x", b"2")))


def test_file_in_the_place_of_a_folder_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "cannot be made here" in refused(tar_of(tmp_path / "a.tar", ("a", b"1"), ("a/x", b"2")))
    assert "cannot be made here" in refused(tar_of(tmp_path / "b.tar", ("a/x", b"1"), ("a", b"2")))


def test_name_that_is_too_long_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "cannot be made here" in refused(tar_of(tmp_path / "a.tar", ("n" * 300, b"1")))


def test_too_many_members_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", *((f"{i}", b"") for i in range(5)))
    assert "more than 4 members" in refused(archive, max_members=4)


def test_too_many_bytes_are_refused_even_where_the_header_lies(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "more than 5 bytes" in refused(tar_of(tmp_path / "a.tar", ("x", b"123456")), max_bytes=5)
    data = zip_of(tmp_path / "a.zip", ("x", b"0" * 5000)).read_bytes()
    lying = data.replace((5000).to_bytes(4, "little"), (3).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lying)
    assert "damaged" in refused(tmp_path / "a.zip")


def test_file_shorter_than_its_header_says_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    data = zip_of(tmp_path / "a.zip", ("x", b"0" * 5000)).read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace((5000).to_bytes(4, "little"), (9000).to_bytes(4, "little")))
    assert "has 5000 bytes instead of 9000" in refused(tmp_path / "a.zip")


def test_hard_links_count_towards_the_limit(refused: Callable[..., str], tmp_path: Path) -> None:
    links = [(f"{i}", info("", tarfile.LNKTYPE, "x")) for i in range(5)]
    assert "more than 40 bytes" in refused(tar_of(tmp_path / "a.tar", ("x", b"0123456789"), *links), max_bytes=40)


def test_bomb_is_stopped_by_its_ratio(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tds_data.curation.archives._RATIO_FREE_BYTES", 1000)
    zeros = bytes(4_000_000)
    assert "times its size" in refused(tar_of(tmp_path / "a.tgz", ("x", zeros), mode="w:gz"))
    assert "times its size" in refused(zip_of(tmp_path / "a.zip", ("x", zeros)))
    unpack_archive(tmp_path / "a.zip", tmp_path / "trusted", limits=ArchiveLimits(max_ratio=2000))
    assert (tmp_path / "trusted/x").stat().st_size == len(zeros)


def test_header_that_claims_gigabytes_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    header = info("x", tarfile.XHDTYPE, size=1 << 33).tobuf(tarfile.GNU_FORMAT)
    with gzip.open(tmp_path / "a.tgz", "wb") as file:
        file.write(header + bytes(100_000))
    assert "which none needs" in refused(tmp_path / "a.tgz")


def test_encrypted_zip_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip", ("x", b"1")).read_bytes())
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(start) + offset] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert "is encrypted" in refused(tmp_path / "a.zip")


def test_unknown_compression_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip", ("x", b"1")).read_bytes())
    for start, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(start) + offset] = 99
    (tmp_path / "a.zip").write_bytes(data)
    assert "packed in a way" in refused(tmp_path / "a.zip")


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>" * 100, b"\x1f\x8bno gzip at all", b"PK\x03\x04short"]
)
def test_what_is_no_archive_is_refused(refused: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    assert "damaged" in refused(tmp_path / "a.tar")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archive_that_ends_early_is_refused(refused: Callable[..., str], tmp_path: Path, mode: str) -> None:
    archive = tar_of(tmp_path / "a.tar", ("x", os.urandom(20_000)), mode=mode)
    archive.write_bytes(archive.read_bytes()[:9_000])
    assert "damaged" in refused(archive)


def test_flipped_byte_in_a_zip_is_found(refused: Callable[..., str], tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip", ("x", os.urandom(5000))).read_bytes())
    data[2000] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    assert "damaged" in refused(tmp_path / "a.zip")


def test_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", ("x", b"1"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_bytes(b"2")
    with pytest.raises(VolumeWriteError, match="holds other things"):
        unpack_archive(archive, tmp_path / "out")
    assert files_of(tmp_path / "out") == {"mine": b"2"}


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tar_of(tmp_path / "a.tar", ("x", b"1"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode="r", **how: full() if mode == "xb" else open(self, mode, **how))  # noqa: PTH123, SIM115
    with pytest.raises(VolumeWriteError, match="the disk is full"):
        unpack_archive(archive, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


def test_missing_archive_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unpack_archive(tmp_path / "nothing.tar", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


NAMES = st.lists(st.text("abÄ .x", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join)


@settings(max_examples=60, deadline=None)
@given(entries=st.dictionaries(NAMES, st.binary(max_size=50), max_size=5), kind=st.sampled_from(["w", "w:gz", "zip"]))
def test_whatever_is_packed_comes_back_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, bytes], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("property")
    archive = folder / "a"
    if kind == "zip":
        zip_of(archive, *entries.items())
    else:
        tar_of(archive, *entries.items(), mode=kind)
    try:
        unpack_archive(archive, folder / "out")
    except ArchiveRefused:
        assert [p.name for p in folder.iterdir()] == ["a"]
    else:
        assert all((folder / "out" / name).read_bytes() == content for name, content in entries.items())
