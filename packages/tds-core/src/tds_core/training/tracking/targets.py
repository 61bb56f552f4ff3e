"""Where a run is delivered to, written down so that it can be delivered later by another process."""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final

from tds_core.training.tracking.journal import TRACKING_FOLDER

TARGETS_NAME: Final = "targets.json"
"""Name of the file in the tracking folder; only its owner can read it, because an address may hold a password."""

_CREDENTIALS: Final = re.compile(r"(?<=://)[^/?#\s]*@")
"""Up to the last `@` before the path: a password may hold one."""

_FILE_SCHEMES: Final = frozenset({"sqlite", "file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The back ends of a run.

    Attributes:
        mlflow_uri: Server or store; no MLflow if `None`.
        experiment: MLflow experiment.
        tensorboard: Whether to write TensorBoard events.
    """

    mlflow_uri: str | None
    experiment: str
    tensorboard: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The back ends that are wanted."""
        return ("mlflow",) * (self.mlflow_uri is not None) + ("tensorboard",) * self.tensorboard

    def save(self, folder: Path) -> None:
        """Write them down in a run folder.

        Args:
            folder: The run folder.

        Raises:
            OSError: If that fails.
        """
        write_document(folder / TRACKING_FOLDER / TARGETS_NAME, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Targets":
        """Return what `save` wrote.

        Args:
            folder: The run folder.

        Raises:
            OSError: If there is nothing.
            ValueError: If it cannot be read.
        """
        document = json.loads((folder / TRACKING_FOLDER / TARGETS_NAME).read_text(encoding="utf-8"))
        try:
            return cls(**document)
        except TypeError as error:
            message = f"{TARGETS_NAME} lacks or garbles a field: {error}"
            raise ValueError(message) from error


def local_store(folder: Path) -> str:
    """Return the address of the SQLite file beside a run folder.

    Args:
        folder: The run folder.
    """
    return f"sqlite:///{(folder.absolute().parent / 'mlflow.db').as_posix()}"


def without_credentials(text: str) -> str:
    """Return a text whose addresses hold no user and password.

    Args:
        text: Any text.

    Examples:
        >>> without_credentials("https://ada:secret@mlflow.example.org/x")
        'https://mlflow.example.org/x'
    """
    return _CREDENTIALS.sub("", text)


def without_places(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """Return a document without passwords, and with places on this machine cut to the names of files.

    Folders tell the name of a user, a project or a patient, and say nothing about what was trained.

    Args:
        value: Plain JSON types.

    Examples:
        >>> without_places({"path": "/home/ada/BraTS", "uri": "sqlite:////home/ada/m.db", "cache": "runs/cache"})
        {'path': 'BraTS', 'uri': 'sqlite:m.db', 'cache': 'runs/cache'}
    """
    if isinstance(value, dict):
        return {key: without_places(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_places(entry) for entry in value]
    if not isinstance(value, str):
        return value
    text = without_credentials(value)
    scheme, colon, rest = text.partition(":")
    if colon and scheme in _FILE_SCHEMES:
        return f"{scheme}:{PurePosixPath(rest).name}"
    kinds: tuple[type[PurePath], ...] = (PurePosixPath, PureWindowsPath)
    return next((kind(text).name for kind in kinds if kind(text).is_absolute() or text.startswith("~")), text)


def address_tag(uri: str) -> str:
    """Return a short name for an address that gives no password away.

    Args:
        uri: The address.
    """
    return hashlib.sha256(without_credentials(uri).encode()).hexdigest()[:16]


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a small JSON file that is complete or absent and that only its owner can read.

    Args:
        path: The file; replaced if it exists.
        document: Plain JSON types.

    Raises:
        OSError: If that fails.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
        json.dump(document, file, indent=2)
    partial.replace(path)
