"""What a MONAI bundle says about input and output, in the terms of a bundle here."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tds_core.training.export.monai.files import MonaiBundle, refusal
from tds_core.training.export.monai.values import literal, target_of
from tds_core.windows import Shape
from tds_data.sequence_names import alias
from tds_data.task import BRAIN_TUMOUR, Task

_PLAIN: Final = frozenset(
    {
        "LoadImaged",
        "EnsureChannelFirstd",
        "EnsureTyped",
        "ToTensord",
        "CastToTyped",
        "CropForegroundd",
        "SelectItemsd",
        "ConvertToMultiChannelBasedOnBratsClassesd",
    }
)
"""Transforms of MONAI that change nothing here: files are read, cropped and typed in any case."""

_REGIONS: Final = {"whole": "WT", "core": "TC", "enhanc": "ET"}
_RAS: Final = ("RL", "AP", "SI")
_BACKGROUND: Final = "background"
_BRATS_ORDER: Final = "LPS"
"""How BraTS stores its images, which MONAI shows networks unless it is told to turn them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What is done to images.

    Attributes:
        spacing_mm: Edges of voxels; `None` if the bundle does not resample.
        orientation: Order of the axes, such as `RAS`; `None` if the bundle does not turn images.
        window: Lowest and highest value of all channels; z-scores if `None`.
    """

    spacing_mm: tuple[float, float, float] | None = None
    orientation: str | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferer:
    """How the network is led over an image.

    Attributes:
        patch: Voxels of a window; the whole image if `None`.
        overlap: Share of its edge that a window shares with the next.
        gaussian: Whether the middle of a window counts more.
    """

    patch: Shape | None = None
    overlap: float = 0.5
    gaussian: bool = False


def read_task(bundle: MonaiBundle, window: tuple[float, float] | None) -> tuple[Task, str]:
    """Return what a MONAI bundle segments, and whether its outputs are `regions` or `classes`.

    Args:
        bundle: The bundle.
        window: Of its channels.

    Raises:
        BundleIncompatible: If it does not say what its channels or outputs are.
    """
    channels = _channels(bundle)
    outputs = _definitions(bundle, "outputs")
    heads = _heads(bundle, outputs)
    named = [next((r for word, r in _REGIONS.items() if word in text.lower()), "") for text in outputs]
    if heads == "regions" and sorted(named) == sorted(BRAIN_TUMOUR.regions):
        return Task(
            name=BRAIN_TUMOUR.name,
            channels=channels,
            labels=BRAIN_TUMOUR.labels,
            regions={region: BRAIN_TUMOUR.regions[region] for region in named},
            windows={} if window is None else dict.fromkeys(channels, window),
            lesions_only=True,
        ), heads
    if heads == "regions":
        raise refusal(
            bundle.name,
            f"its outputs {outputs} are regions that may overlap, and it does not say which labels they hold",
        )
    labels = tuple(_slug(text) for text in outputs[1:])
    return Task(
        name=_slug(bundle.name),
        channels=channels,
        labels=labels,
        regions={label: (number,) for number, label in enumerate(labels, start=1)},
        windows={} if window is None else dict.fromkeys(channels, window),
    ), heads


def read_preprocessing(bundle: MonaiBundle) -> Preprocessing:
    """Return what a MONAI bundle does to images.

    Args:
        bundle: The bundle.

    Raises:
        BundleIncompatible: If it does something that cannot be done here.
    """
    found: dict[str, Any] = {}
    for entry in _transforms(bundle, "preprocessing"):
        name = target_of(entry)
        arguments = {k: v for k, v in entry.items() if not k.startswith("_")}
        if name in _PLAIN:
            continue
        if name == "Orientationd":
            found["orientation"] = check_orientation(bundle, literal(bundle, arguments.get("axcodes"), "axcodes"))
        elif name == "Spacingd":
            found["spacing_mm"] = _three(bundle, literal(bundle, arguments.get("pixdim"), "pixdim"))
        elif name == "NormalizeIntensityd":
            _check_z_scores(bundle, arguments)
            found["normalised"] = True
        elif name == "ScaleIntensityRanged":
            found["window"] = _window(bundle, arguments)
        else:
            raise refusal(
                bundle.name, f"its preprocessing has {name or 'a step without a name'!r}, which is not known here"
            )
    if found.pop("normalised", False) == ("window" in found):
        reason = "its preprocessing must make z-scores (NormalizeIntensityd) or cut to a window (ScaleIntensityRanged)"
        raise refusal(bundle.name, reason)
    return Preprocessing(**found)


def read_inferer(bundle: MonaiBundle) -> Inferer:
    """Return how a MONAI bundle leads its network over an image.

    Args:
        bundle: The bundle.

    Raises:
        BundleIncompatible: If it does so in a way that is not known here.
    """
    entry = bundle.inference.get("inferer")
    name = target_of(entry)
    if entry is None or name == "SimpleInferer":
        return Inferer()
    if name != "SlidingWindowInferer" or not isinstance(entry, Mapping):
        raise refusal(
            bundle.name, f"its inferer is {name or entry!r}; known are SlidingWindowInferer and SimpleInferer"
        )
    x, y, z = (int(edge) for edge in _three(bundle, literal(bundle, entry.get("roi_size"), "roi_size")))
    return Inferer(
        patch=(x, y, z),
        overlap=float(literal(bundle, entry.get("overlap", 0.25), "overlap")),
        gaussian=literal(bundle, entry.get("mode", "constant"), "mode") == "gaussian",
    )


def read_threshold(bundle: MonaiBundle) -> float:
    """Return the probability from which voxels count as inside.

    Args:
        bundle: The bundle.
    """
    for entry in _transforms(bundle, "postprocessing"):
        if target_of(entry) == "AsDiscreted" and isinstance(entry.get("threshold"), int | float):
            return float(entry["threshold"])
    return 0.5


def default_orientation(task: Task) -> str:
    """Return how images lie that nobody turns: BraTS's own way for brain tumours, RAS else.

    Args:
        task: What is segmented.
    """
    return _BRATS_ORDER if task.name == BRAIN_TUMOUR.name else "RAS"


def check_orientation(bundle: MonaiBundle, axes: object) -> str:
    """Return an order of axes that can be used here.

    Args:
        bundle: The bundle.
        axes: Such as `RAS`.

    Raises:
        BundleIncompatible: If its axes come in another order than x, y, z.
    """
    text = axes if isinstance(axes, str) else ""
    if len(text) != len(_RAS) or any(a not in pair for a, pair in zip(text, _RAS, strict=True)):
        raise refusal(bundle.name, f"it turns images to {axes!r}; known are RAS and its reversals, such as LPS")
    return text


def _channels(bundle: MonaiBundle) -> tuple[str, ...]:
    named = _definitions(bundle, "inputs")
    sequences = [alias(text) for text in named]
    if all(sequences) and len(set(sequences)) == len(sequences):
        return tuple(str(sequence) for sequence in sequences)
    return tuple(_slug(text) for text in named)


def _definitions(bundle: MonaiBundle, side: str) -> list[str]:
    """Return the names of channels, in order."""
    described = bundle.metadata.get("network_data_format")
    entries = described.get(side) if isinstance(described, Mapping) else None
    for entry in entries.values() if isinstance(entries, Mapping) else ():
        names = entry.get("channel_def") if isinstance(entry, Mapping) else None
        if isinstance(names, Mapping) and names:
            try:
                return [
                    str(names[str(number)] if str(number) in names else names[number]) for number in range(len(names))
                ]
            except KeyError:
                break
    raise refusal(bundle.name, f"its metadata.json does not say what the channels of its {side} are (channel_def)")


def _heads(bundle: MonaiBundle, outputs: Sequence[str]) -> str:
    for entry in _transforms(bundle, "postprocessing"):
        if target_of(entry) == "Activationsd":
            if entry.get("sigmoid") is True:
                return "regions"
            if entry.get("softmax") is True:
                return "classes"
    if outputs[0].lower() == _BACKGROUND and len(outputs) > 1:
        return "classes"
    raise refusal(bundle.name, "it does not say whether its outputs are sigmoids or a softmax (Activationsd)")


def _transforms(bundle: MonaiBundle, key: str) -> list[Mapping[str, Any]]:
    entry = bundle.inference.get(key)
    steps = entry.get("transforms") if isinstance(entry, Mapping) else entry
    if isinstance(steps, str) and steps.startswith("@"):
        steps = bundle.inference.get(steps[1:])
    if not isinstance(steps, list):
        return []
    return [step for step in steps if isinstance(step, Mapping) and step.get("_disabled_") is not True]


def _check_z_scores(bundle: MonaiBundle, arguments: Mapping[str, Any]) -> None:
    if not (arguments.get("nonzero") is True and arguments.get("channel_wise") is True):
        reason = "it normalises over all voxels or channels; here each channel is, over its foreground"
        raise refusal(bundle.name, reason)
    given = sorted({"subtrahend", "divisor"} & set(arguments))
    if given:
        raise refusal(bundle.name, f"it normalises by {' and '.join(given)} of its own, which is not done here")


def _window(bundle: MonaiBundle, arguments: Mapping[str, Any]) -> tuple[float, float]:
    values = {k: literal(bundle, arguments.get(k), k) for k in ("a_min", "a_max", "b_min", "b_max", "clip")}
    if (values["b_min"], values["b_max"], values["clip"]) != (-1, 1, True):
        reason = (
            f"it spreads values to {values['b_min']} to {values['b_max']}; here windows are spread over -1 to 1 and cut"
        )
        raise refusal(bundle.name, reason)
    low, high = float(values["a_min"]), float(values["a_max"])
    if not -math.inf < low < high < math.inf:
        raise refusal(bundle.name, f"its window {low} to {high} is empty")
    return low, high


def _three(bundle: MonaiBundle, value: object) -> tuple[float, float, float]:
    edges = value if isinstance(value, list) else [value] * 3
    numbers = [float(e) for e in edges if isinstance(e, int | float) and e > 0]
    if len(edges) != 3 or len(numbers) != 3:  # noqa: PLR2004  # x, y, z
        raise refusal(bundle.name, f"it has {value!r} where three numbers above 0 are needed")
    x, y, z = numbers
    return x, y, z


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
