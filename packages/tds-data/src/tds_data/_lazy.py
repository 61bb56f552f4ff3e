"""Names of a package that are loaded when they are first used, so that importing the package costs nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package whose names live in its modules.

    Args:
        package: The package's `__name__`.
        homes: For each module, by its name inside the package, the names that it gives.
    """
    where = {name: module for module, names in homes.items() for name in names}

    def getattr_(name: str) -> object:
        if name not in where:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(import_module(f"{package}.{where[name]}"), name)

    def dir_() -> list[str]:
        module = sys.modules[package]
        return sorted({*where, *(name for name in module.__all__ if name in vars(module))})

    return getattr_, dir_
