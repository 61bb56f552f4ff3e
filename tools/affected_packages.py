"""Names the packages that a change touches, and those that depend on them.

The answer comes from the workspace itself: a file belongs to the package whose folder holds it, and a package is
affected when it or anything that it depends on changed. A change to what every package shares (the lock, the shared
settings, the checks) affects them all; a change to the site, the examples or the house's own pages affects none.

    python tools/affected_packages.py --base origin/main            # a JSON list, dependants included
    python tools/affected_packages.py --base origin/main --direct   # only the packages that hold a changed file
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SHARED_FILES = frozenset({"pyproject.toml", "uv.lock", "noxfile.py"})
SHARED_FOLDERS = frozenset({".github", ".ci", "tools"})
_NAME_OF_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


class WorkspaceError(RuntimeError):
    """The workspace or its history cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One package of the workspace.

    Attributes:
        name: The distribution's name, as in its pyproject.
        folder: Its folder, relative to the root.
        requires: The names of the distributions that it or one of its extras asks for.
    """

    name: str
    folder: PurePosixPath
    requires: frozenset[str] = field(default=frozenset())


def read_members(root: Path) -> tuple[Member, ...]:
    """Every member of the workspace at `root`, in the order of their names.

    Args:
        root: The folder of the workspace's pyproject.toml.

    Returns:
        The members.

    Raises:
        WorkspaceError: When no member matches the workspace's patterns.
    """
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
    files = (file for pattern in patterns for file in root.glob(f"{pattern}/pyproject.toml"))
    members = sorted((_read_member(root, file) for file in files), key=lambda member: member.name)
    if not members:
        message = f"no package matches {patterns}: run this from the workspace's root or pass --root"
        raise WorkspaceError(message)
    return tuple(members)


def _read_member(root: Path, file: Path) -> Member:
    project = tomllib.loads(file.read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    requirements = [*project.get("dependencies", []), *(line for extra in extras for line in extra)]
    names = (_NAME_OF_REQUIREMENT.match(requirement) for requirement in requirements)
    return Member(
        name=project["name"],
        folder=PurePosixPath(file.parent.relative_to(root).as_posix()),
        requires=frozenset(name.group().lower() for name in names if name),
    )


def directly_changed(members: Iterable[Member], files: Iterable[str]) -> frozenset[str]:
    """The names of the members whose folder holds one of the changed `files` (paths relative to the root)."""
    paths = [PurePosixPath(file) for file in files]
    return frozenset(m.name for m in members if any(path.is_relative_to(m.folder) for path in paths))


def with_dependants(members: Iterable[Member], changed: Iterable[str]) -> frozenset[str]:
    """The `changed` members and all that depend on one of them, however far away."""
    everyone = tuple(members)
    affected = set(changed)
    while more := {m.name for m in everyone if m.requires & affected} - affected:
        affected |= more
    return frozenset(affected)


def is_shared(file: str) -> bool:
    """Whether every package depends on `file`, a path relative to the root."""
    return file in SHARED_FILES or PurePosixPath(file).parts[0] in SHARED_FOLDERS


def affected(members: Iterable[Member], files: Iterable[str]) -> frozenset[str]:
    """The names of all members that a change of `files` may break."""
    everyone, changed = tuple(members), tuple(files)
    if any(is_shared(file) for file in changed):
        return frozenset(member.name for member in everyone)
    return with_dependants(everyone, directly_changed(everyone, changed))


def changed_files(root: Path, base: str) -> tuple[str, ...]:
    """The files that differ between HEAD and the point where it left `base`.

    Args:
        root: The repository's root.
        base: A commit, branch or tag.

    Returns:
        Paths relative to the root; of a renamed file both.

    Raises:
        WorkspaceError: When git is missing or does not know `base`.
    """
    git = shutil.which("git")
    if git is None:
        message = "git is not on PATH: install it, it tells which files changed"
        raise WorkspaceError(message)
    command = [git, "diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD"]
    # The command is fixed but for `base`, which git reads as a revision: nothing goes through a shell.
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip()
        message = f"git cannot compare HEAD with {base!r} ({reason}): fetch it, and the history since they parted"
        raise WorkspaceError(message)
    return tuple(file for file in done.stdout.split("\0") if file)


def main(arguments: list[str] | None = None) -> int:
    """Print the answer as JSON; 0 when there is one, 2 when the workspace or its history cannot be read."""
    parser = argparse.ArgumentParser(description="Names the packages that a change touches, as a JSON list.")
    parser.add_argument("--base", help="the commit to compare HEAD with; without it every package is named")
    parser.add_argument("--direct", action="store_true", help="leave out the dependants and what all packages share")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="the workspace")
    options = parser.parse_args(arguments)
    try:
        members = read_members(options.root)
        names = _answer(members, options)
    except WorkspaceError as error:
        print(f"affected_packages: {error}", file=sys.stderr)
        return 2
    print(json.dumps(sorted(names)))
    return 0


def _answer(members: tuple[Member, ...], options: argparse.Namespace) -> frozenset[str]:
    if not options.base:
        return frozenset(member.name for member in members)
    files = changed_files(options.root, options.base)
    return directly_changed(members, files) if options.direct else affected(members, files)


if __name__ == "__main__":
    sys.exit(main())
