"""From a preprocessed tensor to probabilities: windows, heads, mirrored copies and members of an ensemble.

At any time there are, besides the tensor, the probabilities once, the logits of the tensor once and one window.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tds_core.bundle import Bundle
from tds_core.description import NetworkUse
from tds_core.engine import Engine, Ensemble
from tds_core.errors import BundleIncompatible
from tds_core.regions import paint_regions
from tds_core.windows import WindowLayout, lay_windows
from tds_data.task import Task

FloatArray = NDArray[np.float32]
"""A float32 array."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Work:
    """A padded tensor, its windows, the axes of each mirrored copy, and how networks are run on it."""

    padded: FloatArray
    layout: WindowLayout
    flips: tuple[tuple[int, ...], ...]
    use: NetworkUse


def predict(
    engine: Engine | Ensemble, tensor: FloatArray, mirror: tuple[int, ...] = (), *, use: NetworkUse | None = None
) -> FloatArray:
    """Return the probabilities of each region, averaged over mirrored copies of the input and over members.

    Args:
        engine: Runs the network or networks.
        tensor: Float32 array of shape (channel, x, y, z), as preprocessing makes it for the task.
        mirror: Axes that are mirrored in turn, in all combinations.
        use: How the networks are run: that of the bundle; whole images and sigmoid heads for brain tumours if `None`.

    Returns:
        Float32 array of shape (region, x, y, z), regions in the order of the task; WT, TC, ET if `use` is `None`.

    Raises:
        BundleIncompatible: If a network does not give what the bundle says, or does not take the tensor.
    """
    use = use or NetworkUse()
    channels = len(use.task.channels)
    if tensor.shape[0] != channels:
        message = f"the model takes {channels} channels ({', '.join(use.task.channels)}); {tensor.shape[0]} were given"
        raise BundleIncompatible(message)
    x, y, z = tensor.shape[1:]
    layout = lay_windows((x, y, z), use.windows)
    turned = tuple(axis + 1 for axis in use.reversed_axes)
    flips = [flip for size in range(len(mirror) + 1) for flip in itertools.combinations(mirror, size)]
    work = _Work(
        padded=_padded(np.flip(tensor, turned), layout, use.task),
        layout=layout,
        flips=tuple(tuple(axis + 1 for axis in flip) for flip in flips),
        use=use,
    )
    total = np.zeros((len(use.task.regions), *layout.padded), dtype=np.float32)
    for open_member, share in _members(engine):
        # The engine lives in this call only, so that no two members take memory at once.
        _add_member(total, open_member(), share, work)
    total /= len(flips)
    return np.flip(total[(slice(None), *layout.inside)], turned)


def coarse_labels(probabilities: FloatArray, bundle: Bundle) -> NDArray[np.uint8]:
    """Return the label map of probabilities on the network's own grid.

    Args:
        probabilities: Float32 array of shape (region, x, y, z).
        bundle: Holds task and thresholds.
    """
    task, thresholds = bundle.use.task, bundle.postprocess.thresholds
    found = {r: p >= thresholds[r] for r, p in zip(task.regions, probabilities, strict=True)}
    return paint_regions(found, task)


def _members(engine: Engine | Ensemble) -> Iterator[tuple[Callable[[], Engine], float]]:
    if isinstance(engine, Ensemble):
        yield from engine.members()
    else:
        yield lambda: engine, 1.0


def _padded(tensor: FloatArray, layout: WindowLayout, task: Task) -> FloatArray:
    """Return a tensor with surroundings: zero, or the lowest of its window in channels that have one."""
    padded = np.zeros((len(tensor), *layout.padded), dtype=np.float32)
    padded[[channel in task.windows for channel in task.channels]] = -1.0
    padded[(slice(None), *layout.inside)] = tensor
    return padded


def _add_member(total: FloatArray, engine: Engine, share: float, work: _Work) -> None:
    for axes in work.flips:
        logits = _logits(engine, np.flip(work.padded, axes), work)
        found = np.flip(_region_probabilities(logits, work.use), axes)
        total += found if share == 1.0 else found * np.float32(share)


def _logits(engine: Engine, padded: FloatArray, work: _Work) -> FloatArray:
    """Return the logits of a padded tensor, averaged over windows."""
    windows = work.layout.windows
    if len(windows) == 1:
        return _infer(engine, padded, work.use)
    weights = work.layout.weights
    count = np.zeros(work.layout.padded, dtype=np.float32)
    total = np.zeros((work.use.outputs, *work.layout.padded), dtype=np.float32)
    for window in windows:
        everywhere = (slice(None), *window)
        total[everywhere] += _infer(engine, padded[everywhere], work.use) * weights
        count[window] += weights
    total /= count
    return total


def _infer(engine: Engine, window: FloatArray, use: NetworkUse) -> FloatArray:
    logits: FloatArray = engine.infer(np.ascontiguousarray(window)[None])[0]
    if logits.shape != (use.outputs, *window.shape[1:]):
        message = (
            f"the network gives an array of shape {logits.shape} for one of shape {window.shape}; its bundle says that "
            f"it has {use.outputs} outputs of the same size"
        )
        raise BundleIncompatible(message)
    return logits


def _region_probabilities(logits: FloatArray, use: NetworkUse) -> FloatArray:
    if use.heads == "regions":
        return _sigmoid(logits)
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    regions: FloatArray = np.stack([logits[list(labels)].sum(axis=0) for labels in use.task.regions.values()])
    return regions


def _sigmoid(logits: FloatArray) -> FloatArray:
    # tanh neither overflows nor branches.
    result: FloatArray = np.tanh(logits * np.float32(0.5))
    result += 1
    result *= np.float32(0.5)
    return result
