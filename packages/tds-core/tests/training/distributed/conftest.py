import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Launch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def torchrun() -> Launch:
    """Starts a script of this folder with the real torchrun; on one machine unless told otherwise."""

    def launch(
        script: str, *arguments: object, how: tuple[str, ...] = ("--standalone",)
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "torch.distributed.run", *how, "--nproc-per-node=2"]
        command += [str(Path(__file__).with_name(script)), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603  # ours

    return launch
