"""Checks a package as a stranger would have it: installed from its wheel, without extras, beside nothing else.

Run it with the interpreter of the environment to check:

    python tools/check_installed.py tds-data --forbid torch monai --skip tds_data.phantom

It fails when a forbidden library can be imported, when a module of the package cannot, or when the package was taken
from a source tree.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path


def forbidden_present(libraries: Iterable[str]) -> tuple[str, ...]:
    """Those of the `libraries` (top-level import names) that this environment holds."""
    return tuple(name for name in libraries if importlib.util.find_spec(name) is not None)


def top_level_modules(distribution: str) -> tuple[str, ...]:
    """The import names that the installed `distribution` provides.

    Args:
        distribution: The distribution's name.

    Returns:
        Its top-level packages and modules, sorted.

    Raises:
        importlib.metadata.PackageNotFoundError: When it is not installed.
    """
    files = importlib.metadata.distribution(distribution).files or []
    return tuple(sorted({file.parts[0].removesuffix(".py") for file in files if file.suffix == ".py"}))


def modules_of(package: str, skipped: Iterable[str]) -> Iterator[str]:
    """The names of `package` and the modules in it, none in or below a `skipped` one; imports packages on its way."""
    if any(package == name or package.startswith(f"{name}.") for name in skipped):
        return
    yield package
    module = importlib.import_module(package)
    for child in pkgutil.iter_modules(getattr(module, "__path__", [])):
        yield from modules_of(f"{package}.{child.name}", skipped)


def outside_site_packages(module: str) -> bool:
    """Whether the imported `module` comes from anywhere but this environment's site-packages."""
    home = Path(sysconfig.get_path("purelib")).resolve()
    file = getattr(sys.modules[module], "__file__", None)
    return file is None or not Path(file).resolve().is_relative_to(home)


def faults(distribution: str, *, forbidden: Iterable[str], skipped: Iterable[str]) -> list[str]:
    """What is wrong with the installed `distribution`, one sentence each; an import that fails raises as it is."""
    found = [f"{name} is installed: a default install must not bring it" for name in forbidden_present(forbidden)]
    modules = [m for top in top_level_modules(distribution) for m in modules_of(top, tuple(skipped))]
    for module in modules:
        importlib.import_module(module)
        if outside_site_packages(module):
            found.append(f"{module} was not imported from the installed wheel")
    if not modules:
        found.append(f"{distribution} holds no module")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print what is wrong; 0 when nothing is, else 1."""
    parser = argparse.ArgumentParser(description="Checks a package installed from its wheel, without extras.")
    parser.add_argument("distribution")
    parser.add_argument("--forbid", nargs="*", default=[], help="libraries that must be absent")
    parser.add_argument("--skip", nargs="*", default=[], help="modules that need an extra")
    options = parser.parse_args(arguments)
    found = faults(options.distribution, forbidden=options.forbid, skipped=options.skip)
    for fault in found:
        print(f"{options.distribution}: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
