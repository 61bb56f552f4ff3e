import json
import shutil
import subprocess
from pathlib import Path

import pytest
from affected_packages import (
    Member,
    WorkspaceError,
    affected,
    changed_files,
    directly_changed,
    main,
    read_members,
    with_dependants,
)
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = read_members(ROOT)
NAMES = {member.name for member in MEMBERS}


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid", "-c", "commit.gpgsign=false"]
    command = [shutil.which("git") or "git", *who, *arguments]
    # Every argument is written in this file.
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository of two packages, `upper` needing `lower` through an extra, with one commit tagged `base`."""
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    for name, extra in {"lower": "[]", "upper": '["lower[fast]>=0.1"]'}.items():
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        text = f'[project]\nname = "{name}"\ndependencies = []\n[project.optional-dependencies]\nall = {extra}\n'
        (folder / "pyproject.toml").write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    git(tmp_path, "tag", "base")
    return tmp_path


def commit_file(folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("changed")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Change")


def test_workspace_holds_the_packages_and_apps_of_the_design() -> None:
    expected = {"tds-data", "tds-core", "tds-clinical", "tds-cloud", "tds-serve", "tds-cli", "tds-server"}
    assert expected == NAMES


def test_change_in_tds_data_reaches_all_that_build_on_it() -> None:
    found = affected(MEMBERS, ["packages/tds-data/src/tds_data/volume.py"])
    assert {"tds-data", "tds-core", "tds-clinical", "tds-cli"} <= found
    assert "tds-cloud" not in found


def test_change_in_an_app_reaches_that_app_only() -> None:
    assert affected(MEMBERS, ["apps/cli/src/tds_cli/main.py"]) == {"tds-cli"}


@pytest.mark.parametrize("file", ["uv.lock", "pyproject.toml", "noxfile.py", "tools/x.py", ".github/workflows/ci.yml"])
def test_change_of_a_shared_file_reaches_every_package(file: str) -> None:
    assert affected(MEMBERS, [file]) == NAMES


@pytest.mark.parametrize("file", ["README.md", "docs/index.md", "examples/segment.py", "packages.txt"])
def test_change_outside_the_packages_reaches_none(file: str) -> None:
    assert affected(MEMBERS, [file]) == set()


def test_folder_whose_name_begins_like_a_package_is_not_that_package() -> None:
    member = Member(name="tds-data", folder=MEMBERS[0].folder.parent / "tds-data")
    assert directly_changed([member], ["packages/tds-data-old/README.md"]) == set()


@given(st.sets(st.sampled_from(sorted(NAMES))))
def test_affected_set_is_closed_under_dependants(changed: set[str]) -> None:
    found = with_dependants(MEMBERS, changed)
    assert changed <= found
    assert not [m.name for m in MEMBERS if m.requires & found and m.name not in found]


def test_dependence_through_an_extra_counts(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit_file(workspace, "packages/lower/new.py")
    assert main(["--root", str(workspace), "--base", "base"]) == 0
    assert json.loads(capsys.readouterr().out) == ["lower", "upper"]


def test_direct_leaves_out_dependants_and_shared_files(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit_file(workspace, "packages/lower/new.py")
    commit_file(workspace, "uv.lock")
    assert main(["--root", str(workspace), "--base", "base", "--direct"]) == 0
    assert json.loads(capsys.readouterr().out) == ["lower"]


def test_file_moved_between_packages_touches_both(workspace: Path) -> None:
    commit_file(workspace, "packages/lower/moved.py")
    git(workspace, "tag", "--force", "base")
    git(workspace, "mv", "packages/lower/moved.py", "packages/upper/moved.py")
    git(workspace, "commit", "--quiet", "--message", "Move")
    assert directly_changed(read_members(workspace), changed_files(workspace, "base")) == {"lower", "upper"}


def test_without_a_base_every_package_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(workspace)]) == 0
    assert json.loads(capsys.readouterr().out) == ["lower", "upper"]


def test_unknown_base_is_refused_with_the_way_out(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(workspace), "--base", "nowhere"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'nowhere'" in captured.err
    assert "fetch" in captured.err


def test_folder_without_members_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    with pytest.raises(WorkspaceError, match="no package matches"):
        read_members(tmp_path)
