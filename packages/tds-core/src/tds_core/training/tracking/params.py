"""A configuration as MLflow's parameters: flat names, short values."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tds_core.training.tracking.records import plain
from tds_core.training.tracking.targets import without_credentials

LONGEST_VALUE: Final = 500
"""Characters of a value that servers of every version take."""

LONGEST_NAME: Final = 250
"""Characters of a name that MLflow takes."""

_ODD: Final = re.compile(r"[^\w.\- /]", re.ASCII)
_DIGEST: Final = 8


def flat_params(document: Mapping[str, Any]) -> dict[str, str]:
    """Return a nested document as names with dots and text; a long value becomes several, `name.part-2` and so on.

    Args:
        document: Plain YAML values; passwords in addresses are left out.

    Examples:
        >>> flat_params({"loss": {"name": "dice_ce"}, "patch": [96, 96, 96], "plan": None})
        {'loss.name': 'dice_ce', 'patch': '[96, 96, 96]', 'plan': 'null'}
    """
    params = {}
    for name, value in _leaves("", document):
        text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
        text = without_credentials(text)
        parts = [text[i : i + LONGEST_VALUE] for i in range(0, len(text), LONGEST_VALUE)] or [""]
        for number, part in enumerate(parts, start=1):
            params[allowed_name(name if number == 1 else f"{name}.part-{number}")] = part
    return params


def allowed_name(name: str) -> str:
    """Return a name that MLflow takes; different names stay different.

    Args:
        name: Any text.
    """
    clean = "/".join(part for part in _ODD.sub("_", name).split("/") if part not in {"", ".", ".."}) or "_"
    clean = f"_{clean}" if clean.startswith("..") else clean
    if clean == name and len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{clean[: LONGEST_NAME - _DIGEST - 1]}-{digest}"


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # any YAML value
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), entry)
    elif isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
        for number, entry in enumerate(value):
            yield from _leaves(f"{prefix}.{number}", entry)
    else:
        yield prefix, value
