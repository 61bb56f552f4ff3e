"""How processes talk: what a message is made of, and what it means when nobody answers."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tds_core.errors import TrainingError


@contextmanager
def talking() -> Iterator[None]:
    """Tell failures of messages in words.

    Raises:
        TrainingError: If another process is gone.
    """
    try:
        yield
    except RuntimeError as error:  # DistBackendError, DistNetworkError and gloo's own are among them
        if isinstance(error, torch.OutOfMemoryError):
            raise
        message = (
            "another process of this run ended or did not answer in time; look for its own message, then start the "
            f"run again with --resume: {str(error).splitlines()[0]}"
        )
        raise TrainingError(message) from error


def packed(value: object) -> Tensor:
    """Return a value as bytes.

    Args:
        value: Tensors, numbers, texts, and lists, tuples and dictionaries of them.
    """
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return torch.frombuffer(bytearray(buffer.getbuffer()), dtype=torch.uint8)


def unpacked(data: Tensor) -> Any:  # noqa: ANN401  # what it is, the sender knows
    """Return the value that bytes stand for; no code in them is run.

    Args:
        data: What `packed` returned.
    """
    return torch.load(io.BytesIO(data.numpy().tobytes()), map_location="cpu", weights_only=True)
