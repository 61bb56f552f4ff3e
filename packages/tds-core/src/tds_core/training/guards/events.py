"""How guards tell what they did."""

from collections.abc import Callable, Mapping

Report = Callable[[str, Mapping[str, object]], None]
"""Takes the stable name of an event and its numbers, as plain JSON types."""


def ignore(kind: str, values: Mapping[str, object]) -> None:
    """Take an event and do nothing.

    Args:
        kind: Stable name such as `micro_batch_halved`.
        values: Its numbers.
    """
