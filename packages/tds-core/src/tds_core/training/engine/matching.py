"""Whether a checkpoint belongs to the run that wants to go on with it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from torch import nn

from tds_core.errors import CheckpointMismatch

_HARMLESS: Final = (
    "name",
    "length",
    "tracking",
    "device",
    "safety",
    "bundle",
    "plan",
    "inference.mirror",
    "inference.thresholds",
    "inference.min_lesion_ml",
    "data.workers",
    "data.max_loader_bytes",
    "data.cache",
    "sampling.micro_batch",
)
"""Keys that may change while a run goes on: they change no patch and no step, or only how long there are steps."""

_SHOWN: Final = 5


def shapes(network: nn.Module) -> dict[str, list[int]]:
    """Return the shape of each of a network's tensors by name.

    Args:
        network: The network.
    """
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def check_network(saved: Mapping[str, list[int]], network: nn.Module) -> None:
    """Refuse a checkpoint of another architecture.

    Args:
        saved: `shapes` of the network that it was made with.
        network: That of the run.

    Raises:
        CheckpointMismatch: If they differ, naming the first tensors that do.
    """
    wanted = shapes(network)
    names = dict.fromkeys([*wanted, *saved])
    different = [name for name in names if saved.get(name) != wanted.get(name)]
    if not different:
        return
    listed = "; ".join(
        f"{name}: {_shape(saved.get(name))} in the checkpoint, {_shape(wanted.get(name))} in this network"
        for name in different[:_SHOWN]
    )
    message = (
        f"the checkpoint is of another network: {len(different)} of {len(names)} tensors differ, first {listed}; "
        "go back to the network section that it was made with, or choose another run folder"
    )
    raise CheckpointMismatch(message)


def check_config(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that changed and may, and refuse a checkpoint where others did.

    Args:
        saved: The configuration that it was made with, as plain values.
        wanted: That of the run.

    Raises:
        CheckpointMismatch: If a key differs that decides what is learned, naming all that do.
    """
    before, now = dict(_leaves(saved)), dict(_leaves(wanted))
    changed = [key for key in dict.fromkeys([*now, *before]) if before.get(key) != now.get(key)]
    harmful = [key for key in changed if not any(key == h or key.startswith(f"{h}.") for h in _HARMLESS)]
    if harmful:
        listed = "; ".join(f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in harmful)
        message = (
            f"the checkpoint was made with another configuration: {listed}; resume with the configuration that is "
            "saved in the run folder, or choose another run folder"
        )
        raise CheckpointMismatch(message)
    return tuple(changed)


def _leaves(document: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{where}{key}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from _leaves({str(i): item for i, item in enumerate(value)}, f"{where}{key}.")
        else:
            yield f"{where}{key}", value


def _shape(shape: list[int] | None) -> str:
    return "absent" if shape is None else " x ".join(map(str, shape)) or "a number"
