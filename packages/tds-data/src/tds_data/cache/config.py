"""What decides the content of a cache, besides the files it is made from."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from tds_data.cache.case_file import FORMAT_VERSION
from tds_data.errors import CacheError
from tds_data.preprocess import PreprocessConfig

MAX_STEP: Final = 32767
"""The number that stands for the largest z-score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """How cases are preprocessed for a cache.

    Attributes:
        preprocess: As for inference, but at 1 mm unless said otherwise.
        others: The label, 0 to 3, that each tissue without one in BraTS 2023 becomes, such as `{"RC": 0}` for a
            resection cavity that is to count as background.

    Raises:
        CacheError: If the clip is infinite.

    Examples:
        >>> CacheConfig().preprocess.spacing_mm
        1.0
    """

    preprocess: PreprocessConfig = field(default_factory=lambda: PreprocessConfig(spacing_mm=1.0))
    others: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not math.isfinite(self.preprocess.clip):
            message = "a cache stores z-scores as 16-bit numbers and needs a finite clip; choose one such as 6"
            raise CacheError(message)
        object.__setattr__(self, "others", MappingProxyType(dict(self.others)))

    @property
    def scale(self) -> float:
        """The z-score that one step of the stored 16-bit numbers stands for."""
        return self.preprocess.clip / MAX_STEP

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        document: dict[str, Any] = json.loads(
            json.dumps({"preprocess": asdict(self.preprocess), "others": dict(self.others)})
        )
        return document

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration and of the format's version."""
        return digest({"format_version": FORMAT_VERSION, **self.to_dict()})


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, whatever the order of its keys.

    Args:
        document: Plain JSON types.
    """
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
