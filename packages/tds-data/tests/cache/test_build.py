import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tds_data
from tds_data import Label, PreprocessConfig, prepare, to_canonical
from tds_data import atomic_file as publish_module
from tds_data._leftovers import host_tag, is_running
from tds_data.cache import Cache, CacheConfig, build_cache, open_cache
from tds_data.cache import build as build_module
from tds_data.cache.index import INDEX_NAME
from tds_data.datasets import CaseEntry, Manifest, load_entry, write_manifest
from tds_data.errors import CacheError, SourceChanged, StaleCache, UnusableCase, VolumeWriteError

MakeSet = Callable[..., Manifest]


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.iterdir()}


def test_image_is_what_inference_sees_to_half_a_step(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set(1)
    cache = build_cache(manifest, tmp_path / "cache", at_3_mm)
    expected = prepare(load_entry(manifest, manifest.cases[0]), at_3_mm.preprocess).tensor
    image = cache.cases[0].arrays().image * np.float32(cache.cases[0].scale)
    assert image.shape == expected.shape
    assert np.abs(image - expected).max() <= 0.51 * at_3_mm.scale
    assert ((image == 0) == (np.abs(expected) < 0.5 * at_3_mm.scale)).all()


def test_labels_on_the_same_grid_are_the_masks_own(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set(1)
    cache = build_cache(manifest, tmp_path / "cache", at_3_mm)
    case = load_entry(manifest, manifest.cases[0])
    assert case.reference is not None
    box = prepare(case, at_3_mm.preprocess).box
    expected = to_canonical(case.reference).voxels[box.slices]
    np.testing.assert_array_equal(cache.cases[0].arrays().labels, expected)


def test_other_spacing_resamples_labels_by_region(data_set: MakeSet, tmp_path: Path) -> None:
    config = CacheConfig(preprocess=PreprocessConfig(spacing_mm=6.0))
    cached = build_cache(data_set(1), tmp_path / "cache", config).cases[0]
    assert set(np.unique(cached.arrays().labels)) <= {0, 1, 2, 3}
    volume = sum(cached.counts.values()) * 8
    assert volume == pytest.approx(512, rel=0.35)


def test_absent_sequence_is_marked_and_zero(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    cached = build_cache(data_set(1, modalities=("t1", "flair")), tmp_path / "cache", at_3_mm).cases[0]
    assert cached.present == (True, False, False, True)
    assert not cached.arrays().image[1:3].any()


def test_case_without_mask_is_marked(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    first, second = build_cache(data_set(2, unlabelled=1), tmp_path / "cache", at_3_mm).cases
    assert not first.labelled
    assert first.lesion_box is None
    assert not first.arrays().labels.any()
    assert second.labelled


def test_second_build_writes_nothing(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set()
    first = build_cache(manifest, tmp_path / "cache", at_3_mm)
    before = files(first.folder)
    second = build_cache(manifest, tmp_path / "cache", at_3_mm, workers=2)
    assert (first.built, second.built) == (3, 0)
    assert files(first.folder) == before


def test_workers_make_the_same_bytes(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set()
    caches = [build_cache(manifest, tmp_path / f"cache-{n}", at_3_mm, workers=n) for n in (1, 3)]
    for one, other in zip(caches[0].cases, caches[1].cases, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()


def test_progress_counts_every_case(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    heard: list[tuple[int, int, str]] = []
    build_cache(data_set(), tmp_path / "cache", at_3_mm, progress=lambda *news: heard.append(news))
    assert [(done, total) for done, total, _ in heard] == [(1, 3), (2, 3), (3, 3)]
    assert {name for *_, name in heard} == {"case-0", "case-1", "case-2"}


@pytest.mark.parametrize("fault", ["flip", "cut", "empty", "header", "other"])
def test_damaged_entry_is_made_anew(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path, fault: str) -> None:
    manifest = data_set()
    cache = build_cache(manifest, tmp_path / "cache", at_3_mm)
    path = cache.cases[1].path
    good = path.read_bytes()
    middle = 4096 + 100
    damaged = {
        "flip": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "cut": good[:-5000],
        "empty": b"",
        "header": good[:60] + b"?" + good[61:],
        "other": cache.cases[2].path.read_bytes(),
    }[fault]
    path.write_bytes(damaged)
    again = build_cache(manifest, tmp_path / "cache", at_3_mm)
    assert again.built == 1
    assert path.read_bytes() == good
    again.verify()


def test_other_configuration_leaves_nothing_of_the_old(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set()
    build_cache(manifest, tmp_path / "cache", at_3_mm)
    other = CacheConfig(preprocess=replace(at_3_mm.preprocess, clip=4.0))
    with pytest.raises(StaleCache, match="another configuration"):
        open_cache(tmp_path / "cache", config=other)
    again = build_cache(manifest, tmp_path / "cache", other)
    assert again.built == 3
    assert sorted(p.name for p in again.folder.iterdir()) == sorted([INDEX_NAME, *(c.path.name for c in again.cases)])


def test_changed_data_set_makes_the_cache_stale(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set()
    build_cache(manifest, tmp_path / "cache", at_3_mm)
    first = manifest.cases[0]
    images = {**first.images, "t1": manifest.cases[1].images["t1"]}
    changed = replace(manifest, cases=(replace(first, images=images), *manifest.cases[1:]))
    with pytest.raises(StaleCache, match="another manifest"):
        open_cache(tmp_path / "cache", manifest=changed)
    assert build_cache(changed, tmp_path / "cache", at_3_mm).built == 1


def test_other_label_scheme_makes_the_labels_anew(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set(2, unlabelled=1)
    first = build_cache(manifest, tmp_path / "cache", at_3_mm)
    swapped = replace(manifest, scheme="custom", labels={"ED": (1,), "NCR": (2,), "ET": (4,)})
    second = build_cache(swapped, tmp_path / "cache", at_3_mm)
    assert second.built == 1  # the case without a mask stays
    assert second.cases[1].counts[Label.ED] == first.cases[1].counts[Label.NCR]
    assert len(list((tmp_path / "cache").glob("*.tdscase"))) == 2


def test_source_that_changed_since_it_was_indexed_is_refused(
    data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path
) -> None:
    manifest = data_set()
    build_cache(manifest, tmp_path / "cache", at_3_mm)
    source = manifest.path(manifest.cases[0].images["t1"])
    data = bytearray(source.read_bytes())
    data[-1] ^= 1
    source.write_bytes(data)
    with pytest.raises(UnusableCase, match="changed since") as caught:
        build_cache(manifest, tmp_path / "cache", at_3_mm)
    assert isinstance(caught.value.__cause__, SourceChanged)
    assert caught.value.name == "case-0"


@pytest.mark.parametrize("fault", ["gone", "cut"])
def test_unusable_case_is_refused_or_skipped_as_chosen(
    data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path, fault: str
) -> None:
    manifest = data_set()
    source = manifest.path(manifest.cases[1].images["t2"])
    if fault == "gone":
        source.unlink()
    else:
        source.write_bytes(source.read_bytes()[:1000])
    with pytest.raises(UnusableCase, match="case-1"):
        build_cache(manifest, tmp_path / "refused", at_3_mm)
    cache = build_cache(manifest, tmp_path / "cache", at_3_mm, policy="skip")
    assert [case.name for case in cache.cases] == ["case-0", "case-2"]
    assert [skipped.name for skipped in cache.skipped] == ["case-1"]
    assert open_cache(cache.folder, manifest=manifest).skipped == cache.skipped


def test_no_usable_case_is_an_error(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set(1)
    manifest.path(manifest.cases[0].images["t1"]).unlink()
    with pytest.raises(CacheError, match="no case could be cached"):
        build_cache(manifest, tmp_path / "cache", at_3_mm, policy="skip")
    with pytest.raises(CacheError, match="manifest is empty"):
        build_cache(replace(manifest, cases=()), tmp_path / "cache", at_3_mm)


def test_at_least_one_worker_is_needed(data_set: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        build_cache(data_set(1), tmp_path / "cache", workers=0)


def test_infinite_clip_is_refused() -> None:
    with pytest.raises(CacheError, match="finite clip"):
        CacheConfig(preprocess=PreprocessConfig(clip=float("inf")))


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Let the system refuse longer files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_is_told_and_leaves_nothing_half_written(
    data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path
) -> None:
    manifest = data_set()
    with largest_file(60_000), pytest.raises(VolumeWriteError, match="disk is full"):
        build_cache(manifest, tmp_path / "cache", at_3_mm, policy="skip")
    assert list((tmp_path / "cache").iterdir()) == []
    assert build_cache(manifest, tmp_path / "cache", at_3_mm).built == 3


def test_full_disk_half_way_keeps_what_is_complete(
    data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = data_set()
    write = build_module.write_case
    calls: list[int] = []

    def second_time_full(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            with largest_file(60_000):
                return write(*arguments)
        return write(*arguments)

    monkeypatch.setattr(build_module, "write_case", second_time_full)
    with pytest.raises(VolumeWriteError, match="go on from here"):
        build_cache(manifest, tmp_path / "cache", at_3_mm)
    left = list((tmp_path / "cache").iterdir())
    assert {p.suffix for p in left} == {".tdscase"}
    assert 1 <= len(left) <= 2
    with pytest.raises(CacheError, match="there is no cache"):
        open_cache(tmp_path / "cache")
    assert build_cache(manifest, tmp_path / "cache", at_3_mm).built == 3 - len(left)


def test_target_that_is_a_file_is_refused(data_set: MakeSet, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VolumeWriteError):
        build_cache(data_set(1), tmp_path / "file")


def test_killed_build_goes_on_where_it_stood(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set()
    write_manifest(manifest, tmp_path / "manifest.json")
    script = f"""
import time
from pathlib import Path
from tds_data.cache import build as b, CacheConfig
from tds_data.datasets import read_manifest
from tds_data import PreprocessConfig
write, calls = b.write_case, []
def slow(file, *rest):
    calls.append(1)
    if len(calls) == 2:
        file.write(b"half")
        file.flush()
        Path({str(tmp_path)!r}, "now").touch()
        time.sleep(60)
    return write(file, *rest)
b.write_case = slow
b.build_cache(read_manifest(Path({str(tmp_path / "manifest.json")!r})), Path({str(tmp_path / "cache")!r}),
              CacheConfig(preprocess=PreprocessConfig(spacing_mm=3.0)))
"""
    child = subprocess.Popen([sys.executable, "-c", script])  # noqa: S603  # our own script
    deadline = time.monotonic() + 30
    while not (tmp_path / "now").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    names = sorted(p.name for p in (tmp_path / "cache").iterdir())
    assert [name.startswith(".partial-") for name in names] == [True, False]
    cache = build_cache(manifest, tmp_path / "cache", at_3_mm)
    assert cache.built == 2
    assert not list(cache.folder.glob(".partial-*"))


def test_another_runs_half_written_file_is_left_alone(data_set: MakeSet, at_3_mm: CacheConfig, tmp_path: Path) -> None:
    manifest = data_set(1)
    folder = build_cache(manifest, tmp_path / "cache", at_3_mm).folder
    host = host_tag()
    kept = [f".partial-{os.getppid()}-{host}-abc", ".partial-1-00000000-abc", ".partial-x"]
    for name in kept:
        (folder / name).touch()
    (folder / "notes.txt").touch()
    build_cache(manifest, folder, at_3_mm)
    assert {*kept, "notes.txt"} <= {p.name for p in folder.iterdir()}


@pytest.mark.parametrize("error", [PermissionError, OverflowError])
def test_half_written_file_of_a_process_that_cannot_be_asked_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: int) -> None:
        raise error

    host = host_tag()
    path = tmp_path / f".partial-1-{host}-abc"
    path.touch()
    monkeypatch.setattr(os, "kill", refuse)
    publish_module.clear_partials(tmp_path)
    assert path.exists()
    monkeypatch.setattr(os, "name", "other")
    assert is_running(1)


def as_nobody(action: Callable[[], None]) -> int:
    """Run something without the rights of root in a process of its own, and return 0 if it went well."""
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            action()
        except BaseException as error:  # noqa: BLE001  # told by the exit code
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def read_only(data_set: MakeSet, at_3_mm: CacheConfig) -> Iterator[tuple[Cache, Manifest]]:
    """A cache in a folder that nobody may write to, outside of pytest's private folders."""
    import tempfile  # noqa: PLC0415  # only here

    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    made = data_set()
    shutil.copytree(made.root, base / "data")
    manifest = replace(made, root=base / "data")
    cache = build_cache(manifest, base / "cache", at_3_mm)
    for path in [*base.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield cache, manifest
    for path in [p for p in base.rglob("*") if p.is_dir()]:
        path.chmod(0o755)
    shutil.rmtree(base)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_read_only_folder_serves_what_is_there_and_refuses_what_is_not(
    read_only: tuple[Cache, Manifest], at_3_mm: CacheConfig
) -> None:
    cache, manifest = read_only

    def use() -> None:
        if build_cache(manifest, cache.folder, at_3_mm).built:
            raise AssertionError
        open_cache(cache.folder, manifest=manifest, config=at_3_mm).verify()

    def change() -> None:
        other = CacheConfig(preprocess=replace(at_3_mm.preprocess, clip=4.0))
        with pytest.raises(VolumeWriteError, match="may write to"):
            build_cache(manifest, cache.folder, other)

    assert as_nobody(use) == 0
    assert as_nobody(change) == 0


@pytest.mark.real_data
def test_real_patient_is_cached_voxel_for_voxel(real_patients: list[Path], tmp_path: Path) -> None:
    from tds_data.datasets import FileEntry  # noqa: PLC0415

    folder = real_patients[0]

    def entry(path: Path) -> FileEntry:
        import hashlib  # noqa: PLC0415

        data = path.read_bytes()
        return FileEntry(path=path.name, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

    images = {m: entry(next(folder.glob(f"*_{m}.nii.gz"))) for m in tds_data.MODALITIES}
    case_entry = CaseEntry(name="real", patient="real", images=images, mask=entry(next(folder.glob("*_seg.nii.gz"))))
    manifest = Manifest(layout="brats", cases=(case_entry,), scheme="brats-2021", root=folder)
    cached = build_cache(manifest, tmp_path / "cache").cases[0]
    case = load_entry(manifest, case_entry)
    assert case.reference is not None
    prepared = prepare(case, PreprocessConfig(spacing_mm=1.0))
    np.testing.assert_array_equal(cached.arrays().labels, to_canonical(case.reference).voxels[prepared.box.slices])
    assert np.abs(cached.arrays().image * cached.scale - prepared.tensor).max() < 2e-4
