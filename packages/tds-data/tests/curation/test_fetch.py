import hashlib
import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from archive_server import Site, serving

from tds_data.curation import DECATHLON, Fetched, FetchOptions, Release, TransferOptions
from tds_data.curation.fetch import fetch
from tds_data.errors import ArchiveRefused, ChecksumMismatch, DownloadFailed, LicenceNotAccepted, VolumeWriteError

QUICK = TransferOptions(timeout_s=1.0, max_retries=3, pause_s=0.01)
OPTIONS = FetchOptions(accepts_licence=True, transfer=QUICK)
Fetch = Callable[..., Fetched]


@pytest.fixture
def bring(release: Release, tmp_path: Path) -> Fetch:
    """Fetch the test's release, with other options if need be."""

    def call(**changes: object) -> Fetched:
        return fetch(release, tmp_path / "data", replace(OPTIONS, **changes))  # type: ignore[arg-type]

    return call


def left(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "data").iterdir())


def is_complete(tmp_path: Path, site: Site) -> bool:
    folder = tmp_path / "data/Task99_Test"
    whole = (folder / "imagesTr/T_001.nii.gz").read_bytes() in site.content
    return whole and left(tmp_path) == ["Task99_Test", "Task99_Test.fetch.json"]


def test_data_set_is_fetched_verified_unpacked_and_noted(bring: Fetch, site: Site, tmp_path: Path) -> None:
    fetched = bring()
    assert is_complete(tmp_path, site)
    sha256 = hashlib.sha256(site.content).hexdigest()
    assert (fetched.sha256, fetched.size_bytes, fetched.was_there) == (sha256, len(site.content), False)
    assert fetched.notes == ("left out 1 files that macOS adds",)
    record = json.loads(fetched.record.read_text())
    assert (record["sha256"], record["url"]) == (sha256, f"{site.url}/Task99_Test.tar")
    assert "CC BY-SA 4.0" in record["licence"]
    assert sorted(p.name for p in fetched.folder.iterdir()) == ["dataset.json", "imagesTr"]


def test_second_run_does_nothing(bring: Fetch, site: Site) -> None:
    first = bring()
    second = bring()
    assert second == replace(first, was_there=True, notes=())
    assert len(site.requests) == 1


def test_nothing_is_asked_before_the_licence_is_accepted(bring: Fetch, site: Site, tmp_path: Path) -> None:
    with pytest.raises(LicenceNotAccepted, match="CC BY-SA"):
        bring(accepts_licence=False)
    assert site.requests == []
    assert not (tmp_path / "data").exists()


def test_progress_tells_bytes_and_checks(release: Release, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    fetch(release, tmp_path / "data", OPTIONS, progress=lambda *now: told.append(now))
    assert all(0 <= done <= total for done, total, _ in told)
    words = [what for _, _, what in told]
    assert words[0].startswith("Task99_Test.tar: ")
    assert words[-1] == "unpacking Task99_Test.tar: 0.3 MB of 0.3 MB"
    assert any(what.startswith("checking Task99_Test.tar: 0.3 MB of 0.3 MB") for what in words)


def test_truncated_transfer_goes_on_where_it_ended(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000, 50_000]
    bring()
    assert is_complete(tmp_path, site)
    assert [request.get("Range") for request in site.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert site.requests[1]["If-Range"] == '"v1"'


def test_later_run_goes_on_where_the_first_gave_up(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000]
    site.statuses = [200, 503, 503, 503, 503]
    with pytest.raises(DownloadFailed, match=r"status 503.*gave up after 4 tries.*0\.1 MB\) is kept"):
        bring()
    assert left(tmp_path) == ["Task99_Test.tar.part", "Task99_Test.tar.part.json"]
    bring()
    assert is_complete(tmp_path, site)
    assert site.requests[-1]["Range"] == "bytes=100000-"


def test_complete_part_is_not_asked_for_again(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000]
    site.statuses = [200, 403]
    with pytest.raises(DownloadFailed):
        bring()
    (tmp_path / "data/Task99_Test.tar.part").write_bytes(site.content)
    site.requests.clear()
    bring()
    assert site.requests == []
    assert is_complete(tmp_path, site)


def test_server_without_ranges_sends_the_whole_again(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.cuts = [100_000, 50_000]
    bring()
    assert is_complete(tmp_path, site)
    assert len(site.requests) == 3


def test_server_that_always_cuts_short_is_given_up(bring: Fetch, site: Site) -> None:
    site.ranges = False
    site.cuts = [100_000] * 50
    with pytest.raises(DownloadFailed, match=r"the connection ended after 0\.1 MB of 0\.3 MB; gave up after 4"):
        bring()
    assert len(site.requests) == 4


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_file_that_changed_meanwhile_is_fetched_from_the_start(
    bring: Fetch, site: Site, tmp_path: Path, *, honours_if_range: bool
) -> None:
    new = site.content
    site.content, site.cuts = b"x" * 200_000, [100_000]
    site.statuses = [200, 404]
    with pytest.raises(DownloadFailed):
        bring()
    site.content, site.etag, site.honours_if_range = new, '"v2"', honours_if_range
    bring()
    assert is_complete(tmp_path, site)


def test_file_that_became_shorter_is_fetched_from_the_start(bring: Fetch, site: Site, tmp_path: Path) -> None:
    new = site.content
    site.content, site.cuts = b"x" * 500_000, [400_000]
    site.statuses = [200, 404]
    with pytest.raises(DownloadFailed):
        bring()
    site.content = new
    bring()
    assert is_complete(tmp_path, site)


def test_changed_file_with_an_unchanged_mark_is_found_by_its_checksum(bring: Fetch, site: Site, tmp_path: Path) -> None:
    new = site.content
    site.content, site.cuts = b"x" * len(new), [100_000]
    site.statuses = [200, 404]
    with pytest.raises(DownloadFailed):
        bring()
    site.content = new
    fetched = bring()
    assert is_complete(tmp_path, site)
    assert "did not fit together" in fetched.notes[0]


@pytest.mark.parametrize(("etag", "modified"), [('W/"1"', None), (None, None), (None, "Wed, 21 Oct 2015 07:28:00 GMT")])
def test_rest_is_asked_for_only_where_versions_can_be_told_apart(
    bring: Fetch, site: Site, tmp_path: Path, etag: str | None, modified: str | None
) -> None:
    site.etag, site.modified, site.cuts = etag, modified, [100_000]
    bring()
    assert is_complete(tmp_path, site)
    assert site.requests[1].get("If-Range") == modified
    assert ("Range" in site.requests[1]) is (modified is not None)


def test_file_of_unknown_length_is_fetched(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.sends_length = False
    bring()
    assert is_complete(tmp_path, site)


def test_answer_that_continues_nothing_is_not_used(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.cuts = [100_000]
    site.headers = {"Content-Range": "bytes 7-9/10"}
    bring()
    assert is_complete(tmp_path, site)
    assert [request.get("Range") for request in site.requests] == [None, "bytes=100000-", None]


def test_part_that_nobody_asked_for_is_not_used(bring: Fetch, site: Site) -> None:
    site.statuses = [206] * 4
    with pytest.raises(DownloadFailed, match="part of another version"):
        bring()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "has no such file"),
        (410, "has no such file"),
        (403, "does not give the file out"),
        (401, "does not give the file out"),
        (418, "not understood"),
        (204, "not understood"),
    ],
)
def test_refusal_is_told_at_once(bring: Fetch, site: Site, tmp_path: Path, status: int, words: str) -> None:
    site.statuses = [status]
    with pytest.raises(DownloadFailed, match=rf"{words}.*status {status}"):
        bring()
    assert len(site.requests) == 1
    assert left(tmp_path) == []


def test_busy_server_is_asked_again(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.statuses = [503, 429, 500]
    bring()
    assert is_complete(tmp_path, site)
    assert len(site.requests) == 4


def test_wait_that_the_server_asks_for_is_kept(
    bring: Fetch, site: Site, monkeypatch: pytest.MonkeyPatch, release: Release, tmp_path: Path
) -> None:
    pauses: list[float] = []
    clock = SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)
    monkeypatch.setattr("tds_data.curation._transfer.time", clock)
    site.statuses, site.headers = [503, 503, 503], {"Retry-After": "7"}
    bring()
    assert pauses == [7.0, 7.0, 7.0]
    told: list[str] = []
    site.statuses, site.headers = [503, 503, 503], {"Retry-After": "tomorrow"}
    fetch(release, tmp_path / "other", OPTIONS, progress=lambda _done, _total, what: told.append(what))
    assert pauses[3:] == [0.01, 0.02, 0.04]
    assert "status 503" in told[0]
    assert "trying again in 0 s" in told[0]


def test_silent_server_is_given_up(bring: Fetch, site: Site) -> None:
    site.silent_s = 2.0
    started = time.monotonic()
    with pytest.raises(DownloadFailed, match="gave up after 2 tries"):
        bring(transfer=replace(QUICK, timeout_s=0.2, max_retries=1))
    assert time.monotonic() - started < 2


def test_server_that_falls_silent_in_the_middle_is_asked_for_the_rest(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.pause_s = 0.5

    def hurry(*_: object) -> None:
        site.pause_s = 0.0

    with pytest.raises(DownloadFailed, match="broke"):
        bring(transfer=replace(QUICK, timeout_s=0.2, max_retries=0))
    hurry()
    bring()
    assert is_complete(tmp_path, site)
    assert "Range" in site.requests[-1]


def test_server_that_sends_next_to_nothing_is_given_up(
    bring: Fetch, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tds_data.curation._transfer._MIN_RATE", 1e9)
    site.pause_s = 0.05
    with pytest.raises(DownloadFailed, match="next to nothing"):
        bring(transfer=replace(QUICK, timeout_s=0.2, max_retries=0))


def test_slow_but_steady_server_is_waited_for(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.pause_s = 0.003
    bring(transfer=replace(QUICK, timeout_s=0.2))
    assert is_complete(tmp_path, site)
    assert len(site.requests) == 1


def test_nobody_listening_is_told(release: Release, tmp_path: Path) -> None:
    options = replace(OPTIONS, base_url="http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1:9 cannot be reached .*offline"):
        fetch(release, tmp_path / "data", options)


def test_copy_elsewhere_is_used_when_its_address_is_given(release: Release, site: Site, tmp_path: Path) -> None:
    elsewhere = replace(release, url="https://gone.invalid/x/Task99_Test.tar")
    fetch(elsewhere, tmp_path / "data", replace(OPTIONS, base_url=f"{site.url}/mirror/"))
    assert is_complete(tmp_path, site)


def test_part_of_another_address_is_not_continued(bring: Fetch, release: Release, site: Site, tmp_path: Path) -> None:
    site.cuts, site.statuses = [100_000], [200, 404]
    with pytest.raises(DownloadFailed):
        bring()
    fetch(release, tmp_path / "data", replace(OPTIONS, base_url=f"{site.url}/mirror"))
    assert "Range" not in site.requests[-1]
    assert is_complete(tmp_path, site)


@pytest.mark.parametrize("state", ["{", "[]", '{"url": 1, "more": 2}', ""])
def test_part_without_a_readable_note_begins_anew(bring: Fetch, site: Site, tmp_path: Path, state: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/Task99_Test.tar.part").write_bytes(b"something")
    (tmp_path / "data/Task99_Test.tar.part.json").write_text(state)
    bring()
    assert "Range" not in site.requests[0]
    assert is_complete(tmp_path, site)


def test_wrong_content_is_refused_before_anything_is_unpacked(bring: Fetch, site: Site, tmp_path: Path) -> None:
    site.content = b"x" + site.content[1:]
    with pytest.raises(ChecksumMismatch, match="it was removed") as caught:
        bring()
    assert caught.value.algorithm == "md5"
    assert caught.value.found == hashlib.md5(site.content, usedforsecurity=False).hexdigest()
    assert left(tmp_path) == []


def test_sha256_of_the_user_is_enforced(bring: Fetch, site: Site, tmp_path: Path) -> None:
    with pytest.raises(ChecksumMismatch, match="not the archive that you ask for"):
        bring(sha256="0" * 64)
    assert left(tmp_path) == []
    bring(sha256=hashlib.sha256(site.content).hexdigest())
    with pytest.raises(ChecksumMismatch, match="not the archive that you ask for"):
        bring(sha256="0" * 64)


def test_sha256_of_an_earlier_run_is_enforced(bring: Fetch, tmp_path: Path) -> None:
    fetched = bring()
    shutil.rmtree(fetched.folder)
    bring()
    shutil.rmtree(fetched.folder)
    record = json.loads(fetched.record.read_text())
    fetched.record.write_text(json.dumps({**record, "sha256": "0" * 64}))
    with pytest.raises(ChecksumMismatch, match="an earlier run noted another one"):
        bring()
    assert left(tmp_path) == ["Task99_Test.fetch.json"]


def test_folder_of_another_version_is_not_taken_for_this_one(bring: Fetch, release: Release, tmp_path: Path) -> None:
    bring()
    with pytest.raises(ChecksumMismatch, match="made from another archive"):
        fetch(replace(release, md5="0" * 32), tmp_path / "data", OPTIONS)


def test_record_that_cannot_be_read_is_told(bring: Fetch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/Task99_Test.fetch.json").write_text('{"md5": 1}')
    with pytest.raises(DownloadFailed, match="not what an earlier run wrote"):
        bring()


def test_archive_stays_when_it_is_asked_to(bring: Fetch, site: Site, tmp_path: Path) -> None:
    fetched = bring(keeps_archive=True)
    assert (tmp_path / "data/Task99_Test.tar").read_bytes() == site.content
    shutil.rmtree(fetched.folder)
    assert "used the archive that was there" in bring(keeps_archive=True).notes
    assert len(site.requests) == 1


def test_archive_of_the_user_is_never_removed_when_it_is_another(bring: Fetch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/Task99_Test.tar").write_bytes(b"mine")
    with pytest.raises(ChecksumMismatch, match=r"move 'Task99_Test\.tar' away"):
        bring()
    assert (tmp_path / "data/Task99_Test.tar").read_bytes() == b"mine"


def test_folder_of_the_user_is_never_replaced(bring: Fetch, site: Site, tmp_path: Path) -> None:
    (tmp_path / "data/Task99_Test").mkdir(parents=True)
    (tmp_path / "data/Task99_Test/mine").write_bytes(b"mine")
    with pytest.raises(VolumeWriteError, match="holds other things"):
        bring()
    assert site.requests == []


def test_archive_that_cannot_be_unpacked_safely_leaves_no_folder(site: Site, release: Release, tmp_path: Path) -> None:
    site.content = b"no archive"
    md5 = hashlib.md5(site.content, usedforsecurity=False).hexdigest()
    with pytest.raises(ArchiveRefused):
        fetch(replace(release, md5=md5), tmp_path / "data", OPTIONS)
    assert not (tmp_path / "data/Task99_Test").exists()


def test_target_that_is_a_file_is_told(release: Release, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(VolumeWriteError, match="choose another folder"):
        fetch(release, tmp_path / "data", OPTIONS)


def test_disk_without_enough_room_is_told_before_the_transfer(
    bring: Fetch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=500_000)
    monkeypatch.setattr("tds_data.curation._transfer.shutil", SimpleNamespace(disk_usage=lambda _: usage))
    with pytest.raises(DownloadFailed, match=r"need 0\.6 MB more, and 0\.5 MB are free"):
        bring()
    assert left(tmp_path) == ["Task99_Test.tar.part", "Task99_Test.tar.part.json"]


def test_unwritable_record_is_told(bring: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("tds_data.curation.fetch.write_json", refuse)
    with pytest.raises(VolumeWriteError, match="Permission denied"):
        bring()


@pytest.mark.parametrize(
    ("number", "words"), [(30, r"cannot write into .*Read-only file system"), (28, "the disk is full")]
)
def test_unwritable_part_is_told(bring: Fetch, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tds_data.curation._transfer.write_json", refuse)
    with pytest.raises(DownloadFailed, match=words):
        bring()


def test_server_that_changes_the_encoding_is_refused(bring: Fetch, site: Site) -> None:
    site.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadFailed, match="changes the file's encoding"):
        bring()


def test_redirect_on_this_machine_is_followed_with_its_range(bring: Fetch, site: Site, tmp_path: Path) -> None:
    with serving(Site(site.content, cuts=[100_000])) as other:
        site.redirect = f"{other.url}/moved/Task99_Test.tar"
        bring()
        assert is_complete(tmp_path, site)
        assert [request.get("Range") for request in other.requests] == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    "target", ["http://example.org/x.tar", "file:///etc/passwd", "ftp://example.org/x", "https://user:word@h/x"]
)
def test_redirect_away_from_https_is_refused(bring: Fetch, site: Site, tmp_path: Path, target: str) -> None:
    site.redirect = target
    with pytest.raises(DownloadFailed):
        bring()
    assert len(site.requests) == 1
    assert left(tmp_path) == []


def test_redirects_in_a_circle_end(bring: Fetch, site: Site) -> None:
    site.redirect = f"{site.url}/again"
    with pytest.raises(DownloadFailed, match="status 302"):
        bring()
    assert len(site.requests) < 20


PROGRAM = """
import hashlib, resource, signal, sys
from pathlib import Path
from tds_data.curation import CC_BY_SA_4, FetchOptions, Release, TransferOptions
from tds_data.curation.fetch import fetch
from tds_data.errors import DataError
url, md5, target, quota = sys.argv[1:]
if int(quota):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(quota), int(quota)))
release = Release(name="Task99_Test", url=url, md5=md5, licence=CC_BY_SA_4, citation="")
options = FetchOptions(accepts_licence=True, transfer=TransferOptions(max_retries=0))
try:
    fetch(release, Path(target), options)
except DataError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def program(release: Release, tmp_path: Path, quota: int = 0) -> list[str]:
    return [sys.executable, "-c", PROGRAM, release.url, release.md5, str(tmp_path / "data"), str(quota)]


def test_full_disk_keeps_what_came_and_goes_on_later(
    bring: Fetch, release: Release, site: Site, tmp_path: Path
) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] != 0
    done = subprocess.run(program(release, tmp_path, 120_000), capture_output=True, text=True, check=False)  # noqa: S603
    assert "DownloadFailed: the disk is full. What has arrived is kept" in done.stderr
    assert (tmp_path / "data/Task99_Test.tar.part").stat().st_size == 120_000
    bring()
    assert site.requests[-1]["Range"] == "bytes=120000-"
    assert is_complete(tmp_path, site)


def test_killed_run_is_continued_by_the_next(bring: Fetch, release: Release, site: Site, tmp_path: Path) -> None:
    site.pause_s = 0.01
    part = tmp_path / "data/Task99_Test.tar.part"
    with subprocess.Popen(program(release, tmp_path)) as process:  # noqa: S603
        while not part.exists() or part.stat().st_size < 50_000:
            assert process.poll() is None
            time.sleep(0.01)
        with pytest.raises(DownloadFailed, match="another run is at work"):
            bring()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    have = part.stat().st_size
    assert 50_000 <= have < len(site.content)
    site.pause_s = 0.0
    bring()
    assert site.requests[-1]["Range"] == f"bytes={have}-"
    assert is_complete(tmp_path, site)


def test_run_that_was_killed_before_unpacking_needs_no_network(
    bring: Fetch, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tds_data.curation.fetch.unpack_archive", killed)
        with pytest.raises(KeyboardInterrupt):
            bring()
    assert left(tmp_path) == ["Task99_Test.fetch.json", "Task99_Test.tar"]
    bring()
    assert len(site.requests) == 1
    assert is_complete(tmp_path, site)


@pytest.mark.parametrize("changes", [{"sha256": "abc"}, {"sha256": "G" * 64}, {"base_url": "http://example.org"}])
def test_impossible_options_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(DownloadFailed):
        FetchOptions(**changes)  # type: ignore[arg-type]


def test_registry_holds_ten_tasks_over_https_with_md5_and_licence() -> None:
    assert len(DECATHLON) == 10
    for task, release in DECATHLON.items():
        assert release.name == task
        assert re.fullmatch(rf"https://[^/]+/{task}\.tar", release.url)
        assert re.fullmatch(r"[0-9a-f]{32}", release.md5)
        assert release.file_name == f"{task}.tar"
        assert "CC BY-SA 4.0" in release.notice
        assert "https://creativecommons.org/licenses/by-sa/4.0" in release.notice
        assert "Antonelli" in release.notice


def test_registry_agrees_with_monai() -> None:
    spec = importlib.util.find_spec("monai")  # its text is read: importing it takes long
    if spec is None or spec.origin is None:
        pytest.skip("MONAI, which holds the same registry, is absent")
    text = (Path(spec.origin).parent / "apps/datasets.py").read_text("utf-8")
    noted = dict(re.findall(r'"(Task\d\d_\w+)": "(https://[^"]+)"', text))
    assert {task: release.url for task, release in DECATHLON.items()} == noted
    noted = dict(re.findall(r'"(Task\d\d_\w+)": "([0-9a-f]{32})"', text))
    assert {task: release.md5 for task, release in DECATHLON.items()} == noted


def test_only_one_module_opens_connections() -> None:
    import tds_data  # noqa: PLC0415  # its folder

    root = Path(tds_data.__file__).parent
    network = re.compile(
        r"^\s*(?:from|import) (?:urllib\.(?:request|error)|http\.client|socket|ssl|requests)\b", re.MULTILINE
    )
    found = [p.relative_to(root).as_posix() for p in root.rglob("*.py") if network.search(p.read_text("utf-8"))]
    assert sorted(found) == ["curation/_http.py", "curation/_transfer.py"]  # the second reads what the first opened


def test_environment_is_not_read(bring: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "http_proxy", "http://127.0.0.1:9")
    bring()
