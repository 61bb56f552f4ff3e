"""What decides the content of a cache, besides the files it is made from."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Final

from tds_data.cache.case_file import BRAIN_VERSION, TASK_VERSION
from tds_data.errors import CacheError
from tds_data.preprocess import PreprocessConfig
from tds_data.task import BRAIN_TUMOUR, Task
from tds_data.vocabulary import MODALITIES

MAX_STEP: Final = 32767
"""The number that stands for the largest value of the stored images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """How cases are preprocessed for a cache.

    Attributes:
        preprocess: As for inference, but at 1 mm unless said otherwise. Its modalities are those of brains; another
            task's channels are in the task.
        others: The label, 0 to the task's last, that each tissue without one in the task becomes, such as `{"RC": 0}`
            for a resection cavity that is to count as background.
        task: Which images, labels and regions.

    Raises:
        CacheError: If the clip is infinite, or modalities are given for a task that has channels of its own.

    Examples:
        >>> CacheConfig().preprocess.spacing_mm
        1.0
    """

    preprocess: PreprocessConfig = field(default_factory=lambda: PreprocessConfig(spacing_mm=1.0))
    others: Mapping[str, int] = field(default_factory=dict)
    task: Task = field(default_factory=lambda: BRAIN_TUMOUR)

    def __post_init__(self) -> None:
        if not math.isfinite(self.preprocess.clip):
            message = "a cache stores z-scores as 16-bit numbers and needs a finite clip; choose one such as 6"
            raise CacheError(message)
        if not self.is_brain and self.preprocess.modalities != MODALITIES:
            message = (
                f"the task {self.task.name!r} says which channels there are; leave preprocess.modalities as it is "
                f"instead of {', '.join(self.preprocess.modalities)}"
            )
            raise CacheError(message)
        object.__setattr__(self, "others", MappingProxyType(dict(self.others)))

    @property
    def is_brain(self) -> bool:
        """Whether cases are brains with the labels of BraTS 2023."""
        return self.task == BRAIN_TUMOUR

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        return tuple(str(m) for m in self.preprocess.modalities) if self.is_brain else self.task.channels

    @property
    def scale(self) -> float:
        """The value that one step of the stored 16-bit numbers stands for."""
        largest = max(self.preprocess.clip, 1.0) if self.task.windows else self.preprocess.clip
        return largest / MAX_STEP

    @property
    def format_version(self) -> int:
        """Version of the files that it makes."""
        return BRAIN_VERSION if self.is_brain else TASK_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        document: dict[str, Any] = json.loads(
            json.dumps({"preprocess": asdict(self.preprocess), "others": dict(self.others)})
        )
        # Brains are described as they were before there were other tasks, so that their caches stay good.
        return document if self.is_brain else {**document, "task": self.task.to_dict()}

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration and of the format's version."""
        return digest({"format_version": self.format_version, **self.to_dict()})


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, whatever the order of its keys.

    Args:
        document: Plain JSON types.
    """
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
