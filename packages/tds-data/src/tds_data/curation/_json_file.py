"""JSON files that are whole or absent."""

import json
import os
from pathlib import Path
from uuid import uuid4


def write_json(path: Path, document: object) -> None:
    """Write plain JSON types, beside the target first and then in its place.

    Args:
        path: Target; an existing file is replaced.
        document: Numbers in it are finite.

    Raises:
        OSError: If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}-{uuid4().hex[:8]}")
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        with partial.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
