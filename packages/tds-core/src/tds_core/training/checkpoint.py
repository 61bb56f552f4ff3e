"""Checkpoints of a training run: written whole or not at all, read without running any code in them."""

import os
import pickle
from pathlib import Path

import torch
from torch import nn

from tds_core.errors import TrainingError

CHECKPOINT_NAME = "checkpoint.pt"
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
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
        message = f"{CHECKPOINT_NAME} in {folder.name!r} is damaged or of another network: {type(error).__name__}"
        raise TrainingError(message) from error
