"""What the model registry says of a bundle."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from tds_core.bundle import DESCRIPTION_NAME, MANIFEST_NAME
from tds_core.training.tracking.mlflow_registry import SHA256_TAG

NOTICE = "Research software, not a medical device."
"""What is said wherever a result is shown."""


def registry_tags(bundle: Path) -> dict[str, str]:
    """Return the tags of a bundle: its identity, name, version, licence and the notice.

    Args:
        bundle: Folder of the bundle.

    Raises:
        OSError: If a file is missing.
        ValueError: If the description is no mapping.
    """
    manifest = (bundle / MANIFEST_NAME).read_bytes()
    json.loads(manifest)
    try:
        document: Any = yaml.safe_load((bundle / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        message = f"{DESCRIPTION_NAME} cannot be read: {error}"
        raise ValueError(message) from error
    if not isinstance(document, dict):
        message = f"{DESCRIPTION_NAME} is no mapping"
        raise ValueError(message)  # noqa: TRY004  # what is wrong is a file's content
    named = {f"tds.{key}": str(document[key]) for key in ("name", "version", "licence") if key in document}
    return {SHA256_TAG: hashlib.sha256(manifest).hexdigest(), **named, "tds.notice": NOTICE}
