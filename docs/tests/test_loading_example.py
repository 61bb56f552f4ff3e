"""The example of loading patches runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_patches_are_loaded_and_replayed(root: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("nilearn")
    command = [sys.executable, str(root / "examples" / "load_patches.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own script
    assert done.returncode == 0, done.stderr
    assert "replayed from its record: identical" in done.stdout
    assert "epoch 0 from batch 4: identical" in done.stdout
