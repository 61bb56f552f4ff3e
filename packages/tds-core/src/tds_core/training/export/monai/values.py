"""Values of a MONAI configuration: literals and references to literals; expressions and code are refused."""

import re
from collections.abc import Mapping
from typing import Any, Final

from tds_core.training.export.monai.files import MonaiBundle, refusal

_MAX_DEPTH: Final = 16
_SEPARATORS: Final = re.compile(r"::|#")


def literal(bundle: MonaiBundle, value: object, where: str, depth: int = 0) -> Any:  # noqa: ANN401  # any plain value
    """Return a value with its references followed.

    Args:
        bundle: Whose configuration it is from.
        value: Plain YAML values; a string that begins with `@` names another value of the configuration.
        where: What to call it in an error.
        depth: How many references and collections it lies in.

    Raises:
        BundleIncompatible: If it is an expression (`$`), a macro (`%`) or a reference that leads nowhere.
    """
    if depth > _MAX_DEPTH:
        raise refusal(bundle.name, f"{where} refers to itself or is nested too deeply")
    if isinstance(value, str):
        if value.startswith("@"):
            return literal(bundle, _follow(bundle, value, where), where, depth + 1)
        if value.startswith(("$", "%", "+")):
            raise refusal(
                bundle.name,
                f"{where} is the expression {value[:60]!r}, which would have to be run; make it a plain value",
            )
        return value
    if isinstance(value, list | tuple):
        return [literal(bundle, item, where, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {str(key): literal(bundle, item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    return value


def target_of(entry: object) -> str:
    """Return the last part of the name that a component has as its `_target_`; empty if it is no component.

    Args:
        entry: A value of the configuration.
    """
    name = entry.get("_target_") if isinstance(entry, Mapping) else None
    return name.rsplit(".", 1)[-1] if isinstance(name, str) else ""


def _follow(bundle: MonaiBundle, reference: str, where: str) -> object:
    place: object = bundle.inference
    for key in _SEPARATORS.split(reference[1:]):
        if isinstance(place, Mapping) and key in place:
            place = place[key]
        elif isinstance(place, list) and key.isdecimal() and int(key) < len(place):
            place = place[int(key)]
        else:
            raise refusal(bundle.name, f"{where} refers to {reference[:60]!r}, which is not in its configuration")
    return place
