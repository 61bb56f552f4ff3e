"""Checkpoints of a training run: written whole or not at all, read without running any code in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from torch import nn

from tds_core.errors import TrainingError

CHECKPOINT_NAME: Final = "checkpoint.pt"
"""Name of the checkpoint in a run folder."""


def save_checkpoint(
    folder: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, step: int
) -> None:
    """Write the state of a run, replacing the last checkpoint in one move.

    Args:
        folder: Run folder.
        network: The network that is trained.
        average: Its averaged copy.
        optimiser: The optimiser.
        step: Steps done.
    """
    state = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
    }
    part = folder / f"{CHECKPOINT_NAME}.part"
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / CHECKPOINT_NAME)


def load_checkpoint(folder: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Return the steps done after bringing a run's state back, 0 if there is no checkpoint.

    Args:
        folder: Run folder.
        network: Receives the weights.
        average: Receives the averaged weights.
        optimiser: Receives its state.

    Raises:
        TrainingError: If the checkpoint is damaged or belongs to another network.
    """
    if not (folder / CHECKPOINT_NAME).exists():
        return 0
    with _translated(folder):
        state = _read(folder)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])


def load_average(folder: Path, network: nn.Module) -> int:
    """Return the steps done after giving a network the averaged weights of a run.

    Args:
        folder: Run folder.
        network: Receives the weights.

    Raises:
        TrainingError: If there is no checkpoint, or it is damaged or of another network.
    """
    with _translated(folder):
        state = _read(folder)
        network.load_state_dict(state["average"])
        return int(state["step"])


def _read(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / CHECKPOINT_NAME, map_location="cpu", weights_only=True)
    return state


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        message = f"there is no {CHECKPOINT_NAME} in {folder.name!r}; train first"
        raise TrainingError(message) from error
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError, UnpicklingError) as error:
        message = (
            f"{CHECKPOINT_NAME} in {folder.name!r} is damaged or of another network ({type(error).__name__}); "
            "delete it to start afresh, or go back to the configuration that it was made with"
        )
        raise TrainingError(message) from error
