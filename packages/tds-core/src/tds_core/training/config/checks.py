"""Checks that a value can be, with messages that say what would do."""

import difflib
import math
from collections.abc import Collection

from tds_core.errors import ConfigError


def check_multiple(name: str, value: int, of: int) -> None:
    """Refuse a value that is no positive multiple.

    Args:
        name: What the value is called.
        value: The value.
        of: What it must be a multiple of.

    Raises:
        ConfigError: If it is none.
    """
    if value < 1 or value % of:
        message = f"{name} must be a positive multiple of {of}, not {value}"
        raise ConfigError(message)


def check_positive(**values: float) -> None:
    """Refuse values that are not finite numbers above 0.

    Args:
        **values: By their names.

    Raises:
        ConfigError: If one is not.
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            message = f"{name} must be a finite number above 0, not {value}"
            raise ConfigError(message)


def check_ranges(low: float, high: float, **values: float) -> None:
    """Refuse values outside a range.

    Args:
        low: The smallest that will do.
        high: The largest that will do; may be infinite.
        **values: By their names.

    Raises:
        ConfigError: If one is outside.
    """
    for name, value in values.items():
        if not low <= value <= high:
            wanted = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
            message = f"{name} must be {wanted}, not {value}"
            raise ConfigError(message)


def check_choice(name: str, value: str, known: Collection[str]) -> None:
    """Refuse a word that is not among those known, naming the nearest.

    Args:
        name: What the value is called.
        value: The word.
        known: Those that will do.

    Raises:
        ConfigError: If it is none of them.
    """
    if value in known:
        return
    near = difflib.get_close_matches(value, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    message = f"{name} cannot be {value!r}; {hint}"
    raise ConfigError(message)
