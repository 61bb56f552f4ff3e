import gc
import io
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tds_clinical.dicom import inspect_study, is_archive, looks_like_dicom, read_series, read_study, scan_folder
from tds_clinical.dicom._archives import ArchiveLimits, archived_files, unpack
from tds_clinical.errors import ArchiveNotReadable, ClinicalError, NoImages
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.case import Case
from tds_data.volume import Volume

Fill = Callable[[zipfile.ZipFile], object]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def pack(folder: Path, target: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, Path("export") / path.relative_to(folder))
    return target


def made(tmp_path: Path, fill: Fill) -> Path:
    target = tmp_path / "made.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "hello")
        fill(archive)
    return target


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_is_read_like_its_folder(case: Case, study_folder: Path, tmp_path: Path, method: int) -> None:
    (study_folder / "notes.txt").write_text("x")
    study = read_study(pack(study_folder, tmp_path / "study.zip", method))
    assert study.ignored == 1
    for modality, image in case.images.items():
        assert study.case.images[modality].same_grid(image)
        np.testing.assert_array_equal(study.case.images[modality].voxels, image.voxels)


def test_the_ending_of_its_name_does_not_matter(study_folder: Path, tmp_path: Path) -> None:
    archive = pack(study_folder, tmp_path / "export")
    assert is_archive(archive)
    assert len(scan_folder(archive).series) == 4


def test_unpacked_files_stay_as_long_as_a_series_of_them(study_folder: Path, tmp_path: Path, temporary: Path) -> None:
    series = scan_folder(pack(study_folder, tmp_path / "study.zip")).series[0]
    (folder,) = temporary.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert read_series(series).shape == (6, 5, 4)
    del series
    gc.collect()
    assert everything_below(temporary) == []


def test_nothing_stays_after_an_error(study_folder: Path, tmp_path: Path, temporary: Path) -> None:
    for path in study_folder.rglob("*.dcm"):
        path.write_text("no DICOM")
    with pytest.raises(NoImages):
        scan_folder(pack(study_folder, tmp_path / "study.zip"))
    gc.collect()
    assert everything_below(temporary) == []


def test_an_archive_can_be_inspected_with_progress(study_folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    archive = pack(study_folder, tmp_path / "study.zip")
    table = inspect_study(archive, progress=lambda done, total: seen.append((done, total)))
    assert [row.name for row in table.rows] == ["1", "2", "3", "4"]
    assert seen == [(n, 16) for n in range(1, 17)] * 2


def test_an_archive_with_dicom_looks_like_dicom(study_folder: Path, tmp_path: Path) -> None:
    assert looks_like_dicom(pack(study_folder, tmp_path / "study.zip"))
    assert not looks_like_dicom(made(tmp_path, lambda _: None))
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and nothing more")
    assert not looks_like_dicom(tmp_path / "broken.zip")


def link(archive: zipfile.ZipFile, kind: int = stat.S_IFLNK) -> None:
    member = zipfile.ZipInfo("link")
    member.create_system = 3
    member.external_attr = (kind | 0o777) << 16
    archive.writestr(member, "/etc/passwd")


def duplicate(archive: zipfile.ZipFile) -> None:
    archive.writestr("a/b", "1")
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a/b", "2")


HOSTILE: list[tuple[str, Fill, str]] = [
    ("leads up", lambda z: z.writestr("../../evil.dcm", "x"), "leads out of the archive"),
    ("leads up inside", lambda z: z.writestr("a/../../evil.dcm", "x"), "leads out of the archive"),
    ("leads up with backslashes", lambda z: z.writestr("a\\..\\..\\evil.dcm", "x"), "leads out of the archive"),
    ("absolute", lambda z: z.writestr("/evil.dcm", "x"), "absolute path"),
    ("on a drive", lambda z: z.writestr("C:\\evil.dcm", "x"), "absolute path"),
    ("on a share", lambda z: z.writestr("\\\\server\\evil.dcm", "x"), "absolute path"),
    ("control characters", lambda z: z.writestr("a\nb", "x"), "control characters"),
    ("link", link, "link or a special file"),
    ("device", lambda z: link(z, stat.S_IFCHR), "link or a special file"),
    ("duplicate", duplicate, "member 3 has the name of another one"),
    # zipfile unpacks these a whole chunk at a time, whatever size was declared and checked.
    ("bzip2", lambda z: z.writestr("a", "x", zipfile.ZIP_BZIP2), "method 12, which is not supported"),
    ("lzma", lambda z: z.writestr("a", "x", zipfile.ZIP_LZMA), "method 14, which is not supported"),
]


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize(("fill", "said"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_archive_is_refused_and_nothing_written(tmp_path: Path, fill: Fill, said: str) -> None:
    archive = made(tmp_path, fill)
    before = everything_below(tmp_path)
    with pytest.raises(ArchiveNotReadable, match=said) as raised:
        scan_folder(archive)
    assert "evil" not in str(raised.value)
    assert raised.value.path == archive
    assert everything_below(tmp_path) == before
    assert not looks_like_dicom(archive)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = made(tmp_path, lambda z: z.writestr("a", "x"))
    content = bytearray(archive.read_bytes())
    # The flags of the central directory's second entry (APPNOTE.TXT, section 4.3.12).
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveNotReadable, match="member 2 is encrypted"):
        scan_folder(archive)


def test_a_name_cut_by_a_null_byte_is_refused(tmp_path: Path) -> None:
    archive = made(tmp_path, lambda z: z.writestr("good.dcmXevil", "x"))
    archive.write_bytes(archive.read_bytes().replace(b"good.dcmX", b"good.dcm\0"))
    with pytest.raises(ArchiveNotReadable, match="control characters"):
        scan_folder(archive)


def test_archives_inside_are_not_followed(study_folder: Path, tmp_path: Path) -> None:
    inner = pack(study_folder, tmp_path / "inner.zip").read_bytes()
    with pytest.raises(NoImages, match="2 other files"):
        scan_folder(made(tmp_path, lambda z: z.writestr("inner.zip", inner)))
    (study_folder / "inner.zip").write_bytes(inner)
    assert inspect_study(study_folder).ignored == {"archive": 1}


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, temporary: Path) -> None:
    bomb = made(tmp_path, lambda z: z.writestr("zeros", bytes(2 << 20)))
    limits = ArchiveLimits(free_bytes=1 << 20, max_ratio=100)
    with pytest.raises(ArchiveNotReadable, match=r"times its size, as a zip bomb does \(100 times are allowed\)"):
        unpack(bomb, limits)
    assert everything_below(temporary) == []
    assert unpack(bomb, ArchiveLimits()).path.is_dir()


def test_an_archive_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    archive = made(tmp_path, lambda z: z.writestr("a", os.urandom(2000)))
    with pytest.raises(ArchiveNotReadable, match="would unpack to 2005 bytes, 2000 are allowed"):
        unpack(archive, ArchiveLimits(max_bytes=2000))


def test_an_archive_that_does_not_fit_the_disk_is_refused(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4))
    with pytest.raises(ArchiveNotReadable, match="the temporary folder has 4 left; set TMPDIR"):
        scan_folder(made(tmp_path, lambda _: None))
    assert everything_below(temporary) == []


def ten_members(archive: zipfile.ZipFile) -> None:
    for n in range(10):
        archive.writestr(str(n), "")


def test_an_archive_with_too_many_members_is_refused(tmp_path: Path) -> None:
    archive = made(tmp_path, ten_members)
    with pytest.raises(ArchiveNotReadable, match="it has 11 members, 10 are allowed"):
        unpack(archive, ArchiveLimits(max_members=10))


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path, temporary: Path) -> None:
    archive = made(tmp_path, lambda z: z.writestr("zeros", bytes(100_000)))
    content = bytearray(archive.read_bytes())
    for start, field in ((content.rindex(b"PK\x01\x02"), 24), (content.rindex(b"PK\x03\x04"), 22)):
        content[start + field : start + field + 4] = (50).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(ArchiveNotReadable, match="it is damaged"):
        scan_folder(archive)
    assert everything_below(temporary) == []


@pytest.mark.parametrize("kept", [3, 60, -30, -4])
def test_a_damaged_archive_is_said_to_be(study_folder: Path, tmp_path: Path, temporary: Path, kept: int) -> None:
    archive = pack(study_folder, tmp_path / "study.zip")
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(ArchiveNotReadable, match=r"'study\.zip': it is damaged or no zip archive"):
        scan_folder(archive)
    assert everything_below(temporary) == []


def test_a_wrong_checksum_is_damage(tmp_path: Path, temporary: Path) -> None:
    archive = tmp_path / "stored.zip"
    with zipfile.ZipFile(archive, "w") as made_archive:
        made_archive.writestr("a", "contents here")
    archive.write_bytes(archive.read_bytes().replace(b"contents here", b"contents gone"))
    with pytest.raises(ArchiveNotReadable, match="damaged"):
        scan_folder(archive)
    with pytest.raises(ArchiveNotReadable, match="damaged"):
        list(archived_files(archive))
    assert everything_below(temporary) == []


def test_stopping_while_unpacking_leaves_nothing(study_folder: Path, tmp_path: Path, temporary: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_folder(pack(study_folder, tmp_path / "study.zip"), progress=stop)
    gc.collect()
    assert everything_below(temporary) == []


def test_members_are_unpacked_flat_under_numbered_names(tmp_path: Path, temporary: Path) -> None:
    folder = unpack(made(tmp_path, lambda z: z.writestr("a/Müller, Jörg/IM 1.dcm", "x")), ArchiveLimits())
    assert everything_below(folder.path) == ["000001-readme.txt", "000002-IM_1.dcm"]
    del folder
    gc.collect()
    assert everything_below(temporary) == []


def test_the_first_bytes_of_each_member_can_be_looked_at(tmp_path: Path) -> None:
    first, second = archived_files(made(tmp_path, lambda z: z.writestr("a", bytes(500))))
    assert isinstance(first, io.BytesIO)
    assert first.read() == b"hello"
    assert second.read() == bytes(132)


def test_what_is_no_file_or_cannot_be_opened_is_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_archive(tmp_path)
    path = tmp_path / "a"
    path.touch()
    assert not is_archive(path)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert not is_archive(path)


def hold_archives_to_it(folder: Path, temporary: Path, seeds: range) -> None:
    """Damage archives and see that each is read or refused, and that nothing lies anywhere afterwards."""
    target = folder / "study.zip"
    content = target.read_bytes()
    directory = content.index(b"PK\x01\x02")
    for seed in seeds:
        rng = np.random.default_rng(seed)
        damaged = bytearray(content)
        # Most of the damage goes to the directory, where names, sizes and places are.
        for place in rng.integers(directory if seed % 3 else 0, len(content), int(rng.integers(1, 12))):
            damaged[int(place)] = int(rng.integers(256))
        target.write_bytes(damaged if seed % 5 else damaged[: int(rng.integers(len(damaged)))])
        before = everything_below(folder)
        said = ""
        try:
            assert scan_folder(target, pass_over_damage=True).series
            assert looks_like_dicom(target)
        except ClinicalError as error:
            said = f"{error} {error!r}"
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        assert "PHANTOM" not in said
        assert everything_below(folder) == before
    gc.collect()
    assert everything_below(temporary) == []


@pytest.fixture
def small_archive(tmp_path: Path, volume: Volume) -> Path:
    write_classic_series(volume, tmp_path / "s", ClassicSeriesOptions())
    folder = tmp_path / "archive"
    folder.mkdir()
    pack(tmp_path / "s", folder / "study.zip")
    return folder


def test_damaged_archives_are_read_or_refused(small_archive: Path, temporary: Path) -> None:
    hold_archives_to_it(small_archive, temporary, range(150))


@pytest.mark.exhaustive
def test_three_thousand_damaged_archives_are_read_or_refused(small_archive: Path, temporary: Path) -> None:
    hold_archives_to_it(small_archive, temporary, range(1000, 4000))
