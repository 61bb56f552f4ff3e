"""The files of a MONAI bundle, read without running anything in them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import Any, Final
from zipfile import BadZipFile

import torch
import yaml
from torch import Tensor

from tds_core.errors import BundleIncompatible
from tds_data.curation.archives import ArchiveLimits, unpack_archive

_METADATA: Final = Path("configs") / "metadata.json"
_INFERENCE: Final = tuple(Path("configs") / f"inference.{suffix}" for suffix in ("json", "yaml", "yml"))
_WEIGHTS: Final = Path("models") / "model.pt"
_SCRIPTED: Final = Path("models") / "model.ts"
_MAX_TEXT_BYTES: Final = 4 * 1024**2
_LIMITS: Final = ArchiveLimits(max_members=10_000, max_bytes=32 * 1024**3)
_WRAPPERS: Final = ("state_dict", "model", "network", "net")
_LICENCES: Final = {"Apache License": "Apache-2.0", "MIT License": "MIT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonaiBundle:
    """A MONAI bundle on disk.

    Attributes:
        root: Folder that holds `configs` and `models`.
        name: What it is called.
        metadata: Content of `configs/metadata.json`.
        inference: Content of `configs/inference.json` or its YAML form; nothing in it is evaluated.
    """

    root: Path
    name: str
    metadata: Mapping[str, Any]
    inference: Mapping[str, Any]


@contextmanager
def open_monai(source: Path) -> Iterator[MonaiBundle]:
    """Give a MONAI bundle; one that is an archive is unpacked for as long as the block lasts.

    Args:
        source: A folder, or a zip or tar file.

    Raises:
        BundleIncompatible: If it is no MONAI bundle that can be read.
        ArchiveRefused: If the archive is damaged or reaches outside its folder (from tds_data).
    """
    if source.is_dir():
        yield _read(source)
        return
    if not source.is_file():
        raise refusal(source.name, "there is no such folder or archive")
    with TemporaryDirectory(prefix="tds-monai-") as scratch:
        unpack_archive(source, Path(scratch) / "bundle", limits=_LIMITS)
        yield _read(Path(scratch) / "bundle", name=source.name.split(".")[0])


def read_state(bundle: MonaiBundle) -> dict[str, Tensor]:
    """Return the weights of a MONAI bundle: tensors, and nothing that could run.

    Args:
        bundle: The bundle.

    Raises:
        BundleIncompatible: If they are TorchScript, hold anything but tensors, or cannot be read.
    """
    path = bundle.root / _WEIGHTS
    if not path.is_file():
        scripted = " (it has TorchScript, which is code)" if (bundle.root / _SCRIPTED).is_file() else ""
        raise refusal(bundle.name, f"it has no {_WEIGHTS.as_posix()}{scripted}; ask its authors for the state dict")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, LookupError, EOFError, UnpicklingError, BadZipFile) as error:
        reason = f"{_WEIGHTS.as_posix()} is not a plain state dict: it may hold code, TorchScript or be damaged"
        raise refusal(bundle.name, reason) from error
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()) or not loaded:
        raise refusal(bundle.name, f"{_WEIGHTS.as_posix()} holds something other than the tensors of a network")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def licence_of(bundle: MonaiBundle) -> str | None:
    """Return the SPDX identifier that a MONAI bundle states, in its metadata or by its LICENSE file, if it does.

    Args:
        bundle: The bundle.
    """
    for key in ("license", "licence"):
        if isinstance(bundle.metadata.get(key), str):
            return str(bundle.metadata[key])
    path = bundle.root / "LICENSE"
    if not path.is_file():
        return None
    head = path.read_text(encoding="utf-8", errors="replace")[:500]
    return next((spdx for title, spdx in _LICENCES.items() if title in head), None)


def refusal(name: str, reason: str) -> BundleIncompatible:
    """Return the error that says why a MONAI bundle is not imported.

    Args:
        name: Of the bundle.
        reason: Why.
    """
    return BundleIncompatible(f"the MONAI bundle {name!r} cannot be imported: {reason}")


def _read(folder: Path, name: str | None = None) -> MonaiBundle:
    called = name or folder.name
    roots = [folder, *sorted(p for p in folder.iterdir() if p.is_dir())]
    root = next((r for r in roots if (r / _METADATA).is_file()), None)
    if root is None:
        raise refusal(called, f"it has no {_METADATA.as_posix()}")
    config = next((root / path for path in _INFERENCE if (root / path).is_file()), None)
    if config is None:
        raise refusal(called, "it has no configs/inference.json or .yaml, which says what network it has")
    return MonaiBundle(
        root=root, name=called, metadata=_document(root / _METADATA, called), inference=_document(config, called)
    )


def _document(path: Path, name: str) -> Mapping[str, Any]:
    if path.stat().st_size > _MAX_TEXT_BYTES:
        raise refusal(name, f"{path.name} is larger than {_MAX_TEXT_BYTES} bytes")
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise refusal(name, f"{path.name} cannot be read") from error
    if not isinstance(document, dict):
        raise refusal(name, f"{path.name} holds no mapping")
    return document
