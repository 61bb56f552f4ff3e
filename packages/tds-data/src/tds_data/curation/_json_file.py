"""JSON files that are whole or absent."""

import json
from pathlib import Path

from tds_data.formats._whole_file import replace_whole


def write_json(path: Path, document: object) -> None:
    """Write plain JSON types, beside the target first and then in its place.

    Args:
        path: Target; an existing file is replaced.
        document: Numbers in it are finite.

    Raises:
        OSError: If it cannot be written.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    replace_whole(path, f"{text}\n".encode())
