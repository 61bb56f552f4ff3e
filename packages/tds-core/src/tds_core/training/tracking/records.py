"""Lines of the journal: what happened, when and at which step.

========== ============================================================================================
kind       body
========== ============================================================================================
run        a process began: `id`, `name`, `config`, `tags`, `phantom`, `resumed`
rewind     training went back: whatever was noted for later steps than this one is done again
metrics    `values`: numbers by name; `again`: they depend on the clock and were noted for this step before
event      `name` and `values`
picture    `name` and `file`, relative to the run folder
artefact   `name` and `path`, relative to the run folder or absolute
bundle     `path` as above, `model` (its name in the registry) and `tags`
finish     `status`
========== ============================================================================================
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["run", "rewind", "metrics", "event", "picture", "artefact", "bundle", "finish"]
"""What a line tells."""

KINDS: Final = ("run", "rewind", "metrics", "event", "picture", "artefact", "bundle", "finish")

_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line.

    Attributes:
        kind: What it tells.
        time_ms: When it happened first, milliseconds since 1970: a step that is done again the same keeps its time.
        step: Optimiser steps done.
        body: Plain JSON types; numbers that are not finite are the words `NaN`, `Infinity` and `-Infinity`.
    """

    kind: Kind
    time_ms: int
    step: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> bytes:
        """Return it as one line of JSON with its line break."""
        document = {"kind": self.kind, "ms": self.time_ms, "step": self.step, **self.body}
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="replace") + b"\n"  # names of files may hold bytes that are no text


def parse_line(line: bytes) -> Record | None:
    """Return the record of a line; `None` if the line is damaged.

    Args:
        line: With its line break.
    """
    try:
        document = json.loads(line)
        kind, time_ms, step = document.pop("kind"), document.pop("ms"), document.pop("step")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    if kind not in KINDS or not isinstance(time_ms, int) or not isinstance(step, int):
        return None
    return Record(kind=kind, time_ms=time_ms, step=step, body=document)


def encode_number(value: float) -> float | str:
    """Return a number, or the word for one that JSON has no number for.

    Args:
        value: Any float.

    Examples:
        >>> [encode_number(v) for v in (0.5, float("nan"), float("-inf"))]
        [0.5, 'NaN', '-Infinity']
    """
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode_number(value: float | str) -> float:
    """Return what `encode_number` was given.

    Args:
        value: What it returned.
    """
    return _SPECIAL[value] if isinstance(value, str) else float(value)


def plain(value: object) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value as plain JSON types; what is none of them becomes text.

    Args:
        value: Any value.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return encode_number(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    return str(value)
