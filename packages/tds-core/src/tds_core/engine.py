"""The line between the pipeline and what runs a network."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one network; safe to call again and again, with any spatial shape that is a multiple of 8."""

    def infer(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits of shape (batch, 3, x, y, z).

        Args:
            tensor: Float32 array of shape (batch, channel, x, y, z).
        """
        ...
