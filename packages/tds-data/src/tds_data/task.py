"""What is learned: which channels go in, which labels a mask holds, which regions are scored."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from tds_data.errors import TaskError
from tds_data.vocabulary import MODALITIES, REGION_LABELS, REGIONS, Label

_MAX_LABELS: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A segmentation task.

    Attributes:
        name: What it is called.
        channels: Names of the images in the order of the network's input.
        labels: Names of the labels 1, 2, ... of a mask; 0 is the background.
        regions: Label numbers of each region that is predicted by sigmoid heads and scored, outermost first.
        windows: Lowest and highest value of channels whose numbers mean something, such as Hounsfield units in CT:
            values are cut to them and spread over -1 to 1. All other channels are z-scored over their own foreground.
        lesions_only: Whether every label is a lesion that could be anywhere in what is imaged. Only then does
            augmentation blend one patient's lesion into another's image; an organ would land where none can be.

    Raises:
        TaskError: If a name comes twice, there is no channel or no label, a region holds a label that is not there, or
            a window is empty or of no channel.
    """

    name: str
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    regions: Mapping[str, tuple[int, ...]]
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    lesions_only: bool = False

    def __post_init__(self) -> None:
        for kind, names in (("channels", self.channels), ("labels", self.labels), ("regions", tuple(self.regions))):
            if not names or len(set(names)) < len(names):
                message = f"task {self.name!r} needs {kind}, each with a name of its own; it has {list(names)}"
                raise TaskError(message)
        if len(self.labels) > _MAX_LABELS:
            message = f"task {self.name!r} has {len(self.labels)} labels; masks are stored with at most {_MAX_LABELS}"
            raise TaskError(message)
        for region, labels in self.regions.items():
            outside = [label for label in labels if not 1 <= label <= len(self.labels)]
            if outside or not labels:
                message = (
                    f"region {region!r} of task {self.name!r} holds the labels {list(labels)}; "
                    f"give at least one of 1 to {len(self.labels)}"
                )
                raise TaskError(message)
        for channel, (low, high) in self.windows.items():
            if channel not in self.channels or not -math.inf < low < high < math.inf:
                message = (
                    f"task {self.name!r} has the window {low} to {high} for {channel!r}; "
                    f"it needs a finite range of one of {', '.join(self.channels)}"
                )
                raise TaskError(message)
        object.__setattr__(self, "regions", MappingProxyType({k: tuple(v) for k, v in self.regions.items()}))
        object.__setattr__(self, "windows", MappingProxyType({k: tuple(v) for k, v in self.windows.items()}))

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], "Task"], tuple[dict[str, Any]]]:
        """Tell pickle what to call: a read-only mapping cannot be pickled."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return _task, ({**plain, "regions": dict(self.regions), "windows": dict(self.windows)},)

    def to_dict(self) -> dict[str, Any]:
        """Return plain YAML values."""
        return {
            "name": self.name,
            "channels": list(self.channels),
            "labels": list(self.labels),
            "regions": {region: list(labels) for region, labels in self.regions.items()},
            "windows": {channel: list(window) for channel, window in self.windows.items()},
            "lesions_only": self.lesions_only,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Task":
        """Return the task that `to_dict` wrote, before or after JSON.

        Args:
            document: Its plain form.

        Raises:
            TaskError: If it is none.
        """
        try:
            return cls(
                name=document["name"],
                channels=tuple(document["channels"]),
                labels=tuple(document["labels"]),
                regions={region: tuple(labels) for region, labels in document["regions"].items()},
                windows={channel: (low, high) for channel, (low, high) in document["windows"].items()},
                lesions_only=bool(document["lesions_only"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, TaskError):
                raise
            message = f"this is no task ({type(error).__name__}: {error})"
            raise TaskError(message) from error

    @property
    def windowed(self) -> tuple[int, ...]:
        """Numbers of the channels that have a window; what lies outside their image is -1, not 0."""
        return tuple(number for number, channel in enumerate(self.channels) if channel in self.windows)


def _task(values: dict[str, Any]) -> Task:
    return Task(**values)


BRAIN_TUMOUR: Final = Task(
    name="brain-tumour",
    channels=tuple(str(m) for m in MODALITIES),
    labels=tuple(label.name for label in Label if label),
    regions={str(r): tuple(sorted(int(label) for label in REGION_LABELS[r])) for r in REGIONS},
    lesions_only=True,
)
"""Brain tumours in T1, T1ce, T2 and FLAIR, with the labels and regions of BraTS 2023."""

LIVER_TUMOUR: Final = Task(
    name="liver-tumour",
    channels=("ct",),
    labels=("liver", "tumour"),
    regions={"liver": (1, 2), "tumour": (2,)},
    windows={"ct": (-200.0, 300.0)},
)
"""Livers and tumours in CT, as in LiTS (Bilic et al. 2023, doi 10.1016/j.media.2022.102680)."""

HEAD_NECK_TUMOUR: Final = Task(
    name="head-neck-tumour",
    channels=("ct", "pet"),
    labels=("GTVp", "GTVn"),
    regions={"GTVp": (1,), "GTVn": (2,)},
    windows={"ct": (-200.0, 300.0)},
)
"""Primary tumours and lymph nodes in CT and PET, as in HECKTOR (Oreiller 2022, doi 10.1016/j.media.2021.102336)."""

TASKS: Final = {task.name: task for task in (BRAIN_TUMOUR, LIVER_TUMOUR, HEAD_NECK_TUMOUR)}
"""Tasks that a configuration may name."""


def find_task(name: str) -> Task:
    """Return a task by its name.

    Args:
        name: One of `TASKS`.

    Raises:
        TaskError: If there is no such task.
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, list(TASKS), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(TASKS)}"
        message = f"there is no task {name!r}; {hint}"
        raise TaskError(message)
    return TASKS[name]
