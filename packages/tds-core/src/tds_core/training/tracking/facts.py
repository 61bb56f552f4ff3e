"""What a tracker is told about a run before it begins."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_OURS: Final = ("tds-core", "tds-data")
_ENGINES: Final = ("torch", "monai", "numpy")
_GIT_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Where a result comes from.

    Attributes:
        name: Of the run.
        config: The resolved configuration as plain YAML values.
        dataset_digest: Hash of the manifest of the cases.
        code: Versions by name, such as `tds-core` and `torch`, and `commit` in a checkout; see `code_facts`.
        device: Where it runs, by name, such as `device`, `gpu` and `python`; see `machine_facts`.
        fold: Number of the fold that validates.
        phantom: Whether all cases are synthetic; then the run and its pictures say so.
        resumed: Whether a stopped run goes on.
    """

    name: str
    config: Mapping[str, Any]
    dataset_digest: str
    code: Mapping[str, str] = field(default_factory=dict)
    device: Mapping[str, str] = field(default_factory=dict)
    fold: int | None = None
    phantom: bool = False
    resumed: bool = False


def code_facts() -> dict[str, str]:
    """Return the versions of what computes, and in a git checkout `commit`, with `-changed` if files were changed."""
    versions = {}
    for name in (*_OURS, *_ENGINES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    # In an environment inside somebody else's checkout git does not know this file.
    commit = _git("rev-parse", "HEAD") if _git("ls-files", str(Path(__file__).resolve())) else ""
    if commit:
        versions["commit"] = commit + ("-changed" if _git("status", "--porcelain", "--untracked-files=no") else "")
    return versions


def machine_facts(device: str) -> dict[str, str]:
    """Return what the run runs on, without the machine's or the user's name.

    Args:
        device: Of the network, such as `cpu` or `cuda:0`.
    """
    import torch  # noqa: PLC0415  # the process that delivers reads this module and needs no torch

    facts = {
        "device": device,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch_threads": str(torch.get_num_threads()),
    }
    if device.startswith("cuda"):
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
    return facts


def _git(*arguments: str) -> str:
    """Return what git says about the folder of this file; nothing if there is no git or no checkout."""
    command = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True)  # noqa: S603  # no input of users
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
