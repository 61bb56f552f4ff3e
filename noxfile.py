"""The checks of the house, one session each: `uv run nox` runs the default ones, `uv run nox -l` lists them all.

Every session makes its own environment from uv.lock, or from wheels where it checks those. What the sessions hold each
package to (coverage, forbidden libraries) stands in the root pyproject.toml, under [tool.tds.packages].
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = [
    "lint",
    "imports",
    "deps",
    "changes",
    "build",
    "tools",
    "tests",
    "isolation",
    "minimums",
    "types",
    "doctest",
    "docs",
]

ROOT = Path(__file__).resolve().parent
SETTINGS = nox.project.load_toml(ROOT / "pyproject.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A member of the workspace and what its checks need to know.

    Attributes:
        name: The distribution's name.
        folder: Its folder.
        modules: The import names of the packages in its `src`.
        siblings: The names of the members that it needs, nearest first, and theirs.
        extras: The names of its extras.
        coverage: The least share of lines and branches that its tests must reach, in per cent.
        forbidden: Libraries that a default install of it must not bring.
        extra_modules: Modules that need one of its extras.
    """

    name: str
    folder: Path
    modules: tuple[str, ...]
    siblings: tuple[str, ...]
    extras: tuple[str, ...]
    coverage: int
    forbidden: tuple[str, ...]
    extra_modules: tuple[str, ...]


def _read_packages() -> dict[str, Package]:
    files = sorted(file for kind in ("packages", "apps") for file in ROOT.glob(f"{kind}/*/pyproject.toml"))
    projects = {file.parent: nox.project.load_toml(file)["project"] for file in files}
    direct = {project["name"]: _siblings_in(project) for project in projects.values()}
    return {project["name"]: _read_package(folder, project, direct) for folder, project in projects.items()}


def _siblings_in(project: dict[str, Any]) -> list[str]:
    names = (requirement.replace("[", " ").replace(">", " ").split()[0] for requirement in project["dependencies"])
    return [name for name in names if name.startswith("tds-")]


def _read_package(folder: Path, project: dict[str, Any], direct: dict[str, list[str]]) -> Package:
    name = project["name"]
    siblings = list(direct[name])
    for sibling in siblings:  # grows while it is walked: the siblings' siblings come last
        siblings.extend(other for other in direct[sibling] if other not in siblings)
    held = SETTINGS["tool"]["tds"]["packages"][name]
    return Package(
        name=name,
        folder=folder,
        modules=tuple(sorted(init.parent.name for init in folder.glob("src/*/__init__.py"))),
        siblings=tuple(siblings),
        extras=tuple(project.get("optional-dependencies", {})),
        coverage=held["coverage"],
        forbidden=tuple(held["forbidden"]),
        extra_modules=tuple(held["extra_modules"]),
    )


PACKAGES = _read_packages()
each_package = nox.parametrize("package", [nox.param(package, id=name) for name, package in PACKAGES.items()])


def _sync(session: nox.Session, *arguments: str) -> None:
    """Bring the session's environment to what uv.lock says for `arguments`, which are those of `uv sync`."""
    home = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--locked", "--quiet", *arguments, env=home)


def _sync_group(session: nox.Session, group: str) -> None:
    """Make an environment of the tools in one dependency group and nothing else."""
    _sync(session, "--only-group", group)


def _test_group(package: Package) -> str:
    own = f"test-{package.name}"
    return own if own in SETTINGS["dependency-groups"] else "test"


def _chosen(session: nox.Session) -> list[Package]:
    """The packages named after `--`, or all of them."""
    return [PACKAGES[name] for name in session.posargs or PACKAGES]


def _sync_packages(session: nox.Session, packages: Iterable[Package], group: str) -> None:
    """Install `packages` from their folders with all their extras, then the tools of `group` beside them."""
    names = [argument for package in packages for argument in ("--package", package.name)]
    _sync(session, *names, "--all-extras")
    _sync(session, "--inexact", "--only-group", group)


def _pytest(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run pytest with the settings of the root, wherever the tests are."""
    session.run("pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), *arguments, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and the workflows' correctness and safety."""
    _sync_group(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("jactionlint")
    session.run("shellcheck", ".ci/run")
    session.run("zizmor", "--offline", "--persona", "pedantic", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types, package by package; name some after `--` to check only those."""
    packages = _chosen(session)
    _sync_packages(session, packages, "types")
    for package in packages:
        session.run("mypy", *(str(package.folder / "src" / module) for module in package.modules))
    session.run("mypy", *(str(script) for script in ROOT.glob("tools/*.py")))


@nox.session
def imports(session: nox.Session) -> None:
    """Who may import whom, as the table of the design says; reads the sources, installs none of them."""
    _sync_group(session, "imports")
    sources = os.pathsep.join(str(package.folder / "src") for package in PACKAGES.values())
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": sources})


@nox.session
def deps(session: nox.Session) -> None:
    """Each package declares what it imports, and imports what it declares."""
    _sync_group(session, "deps")
    for package in _chosen(session):
        with session.chdir(package.folder):
            session.run("deptry", "src")


@nox.session
def tools(session: nox.Session) -> None:
    """Tests of the scripts under tools/."""
    _sync_group(session, "test")
    _pytest(session, "tools/tests")


@nox.session
@each_package
def tests(session: nox.Session, package: Package) -> None:
    """One package's tests with all its extras, and the floor under its coverage; pytest's arguments follow `--`."""
    _sync_packages(session, [package], _test_group(package))
    coverage = [f"--cov={module}" for module in package.modules]
    coverage += ["--cov-config=pyproject.toml", f"--cov-fail-under={package.coverage}"]
    data = {"COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    # A part of the tests reaches a part of the code, so arguments switch the floor off.
    _pytest(session, *(session.posargs or coverage), str(package.folder / "tests"), env=data)


@nox.session(default=False)
@each_package
def exhaustive(session: nox.Session, package: Package) -> None:
    """One package's properties over thousands of generated cases, which take many minutes; not among the checks."""
    _sync_packages(session, [package], _test_group(package))
    _pytest(session, "-m", "exhaustive", *session.posargs, str(package.folder / "tests"))


@nox.session(reuse_venv=False)
@each_package
def isolation(session: nox.Session, package: Package) -> None:
    """One package from its wheel, without extras: clean, importable, tested; `--` and a folder take the wheel there."""
    wheels = [_find_wheel(session, package, session.posargs[0]) if session.posargs else _build_wheel(session, package)]
    wheels += [_build_wheel(session, PACKAGES[name]) for name in package.siblings]
    locked = _locked_versions(session, f"--package={package.name}", "--all-extras", "--no-emit-workspace")
    session.install(*wheels, "--constraint", locked)
    check = ["tools/check_installed.py", package.name]
    session.run("python", *check, "--forbid", *package.forbidden, "--skip", *package.extra_modules)
    _install_group(session, _test_group(package))
    _pytest(session, str(package.folder / "tests"))


def _build_wheel(session: nox.Session, package: Package) -> str:
    """Build the wheel of `package`; its path."""
    target = str(Path(session.create_tmp()) / package.name)
    session.run_install(
        "uv", "build", "--quiet", "--wheel", "--clear", f"--package={package.name}", f"--out-dir={target}"
    )
    return _find_wheel(session, package, target)


def _find_wheel(session: nox.Session, package: Package, folder: str) -> str:
    """The one wheel of `package` in `folder`."""
    wheels = [str(wheel) for wheel in Path(folder).glob(f"{package.name.replace('-', '_')}-*.whl")]
    if len(wheels) != 1:
        session.error(f"{folder} holds {len(wheels)} wheels of {package.name}, not one")
    return wheels[0]


@nox.session(reuse_venv=False)
@each_package
def minimums(session: nox.Session, package: Package) -> None:
    """One package's tests with the oldest releases that it and its siblings declare, without extras."""
    folders = [str(PACKAGES[name].folder) for name in (package.name, *package.siblings)]
    editable = [argument for folder in folders for argument in ("--editable", folder)]
    session.install("--resolution", "lowest-direct", *editable)
    _install_group(session, _test_group(package))
    # Old releases warn of what newer Pythons will drop; that is theirs and known.
    _pytest(session, str(package.folder / "tests"), "-W", "default")


def _locked_versions(session: nox.Session, *arguments: str) -> str:
    """The path of a file for `--constraint` with the releases of uv.lock; `arguments` are those of `uv export`."""
    target = str(Path(session.create_tmp()) / "constraints.txt")
    session.run_install("uv", "export", "--locked", "--quiet", "--no-hashes", *arguments, f"--output-file={target}")
    return target


def _install_group(session: nox.Session, group: str) -> None:
    """Add the tools of `group` to what is installed, which stays as it is; the runner itself comes from uv.lock."""
    runner = _locked_versions(session, "--only-group", "test")
    session.run_install("uv", "pip", "install", "--quiet", "--group", group, "--constraint", runner)


@nox.session
def docs(session: nox.Session) -> None:
    """The site, without a warning, and the figures on it against the ledger of claims."""
    extras = ["--extra", "phantom", "--extra", "report"]
    _sync(session, "--all-packages", *extras, "--no-default-groups", "--group", "docs", "--group", "test")
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-q", "docs", "docs/_build")
    _pytest(session, "docs/tests")


@nox.session
def doctest(session: nox.Session) -> None:
    """The examples in the docstrings; name some packages after `--` to run only theirs."""
    packages = _chosen(session)
    _sync_packages(session, packages, "test")
    modules = [module for package in packages for module in package.modules]
    _pytest(session, "--doctest-modules", "--pyargs", *modules)


@nox.session
def build(session: nox.Session) -> None:
    """Every package as it would be released, with metadata that an index accepts."""
    _sync_group(session, "release")
    dist = Path(session.create_tmp()) / "dist"
    session.run_install("uv", "build", "--quiet", "--clear", "--all-packages", "--out-dir", str(dist))
    files = sorted(str(file) for pattern in ("*.whl", "*.tar.gz") for file in dist.glob(pattern))
    if len(files) != 2 * len(PACKAGES):
        session.error(
            f"{len(files)} files were built: each of the {len(PACKAGES)} packages makes a wheel and a source one"
        )
    session.run("twine", "check", "--strict", *files)


@nox.session
def changes(session: nox.Session) -> None:
    """A news fragment for each package that differs from the base, and fragments that make a changelog."""
    _sync_group(session, "changes")
    base = os.environ.get("TDS_CHANGES_BASE", "")
    for name in _changed_packages(session, base) if base else ():
        session.run("towncrier", "check", "--compare-with", base, "--dir", str(PACKAGES[name].folder), *_towncrier())
    for package in PACKAGES.values():
        draft = ["build", "--draft", "--name", package.name, "--version", "0.0.0", "--dir", str(package.folder)]
        session.run("towncrier", *draft, *_towncrier(), silent=True)


def _towncrier() -> tuple[str, str]:
    return ("--config", str(ROOT / "pyproject.toml"))


def _changed_packages(session: nox.Session, base: str) -> list[str]:
    """The packages that hold a file which differs from where HEAD left `base`."""
    answer = session.run("python", "tools/affected_packages.py", "--direct", "--base", base, silent=True)
    return list(json.loads(answer or "[]"))


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks, which print their tables; not among the checks."""
    _sync_packages(session, PACKAGES.values(), "bench")
    for script in sorted(ROOT.glob("benchmarks/[!_]*.py")):
        session.run("python", str(script), *session.posargs)
