"""What can go wrong in tds_core.

::

    CoreError
    ├── ModelError                        a model is refused
    │   ├── BundleNotFound (FileNotFoundError)
    │   ├── BundleAltered (ValueError)    a file does not match the manifest or the pinned hash
    │   ├── BundleUntrusted (PermissionError)
    │   └── BundleIncompatible (ValueError)
    ├── ConfigError (ValueError)          a configuration cannot be used
    ├── OutOfMemory (MemoryError)         the study does not fit the memory limit
    ├── DeviceUnavailable (RuntimeError)  no such device for inference here
    ├── EvaluationError (ValueError)      predictions and references cannot be compared
    ├── TrainingError (RuntimeError)      a training run cannot go on
    │   ├── CheckpointDamaged (ValueError)    a checkpoint is torn or altered
    │   ├── CheckpointMismatch (ValueError)   a checkpoint is of another network or configuration
    │   ├── LossNotFinite (ArithmeticError)   the loss stayed not finite after every way out
    │   ├── TrainingOutOfMemory (MemoryError) even one patch at a time does not fit
    │   ├── DiskFull (OSError)                the disk stayed full until patience ran out
    │   └── TrackingUnavailable (OSError)     a tracking store cannot be opened at all
    └── MissingDependency (ImportError)   an optional extra is not installed

Messages say what was wrong, the value seen and what to do. They never hold a patient identifier.
"""

from pathlib import Path


class CoreError(Exception):
    """Root of every error that tds_core raises on purpose."""


class ModelError(CoreError):
    """A model is refused; no mask is made."""


class BundleNotFound(ModelError, FileNotFoundError):
    """There is no model bundle at this place.

    Attributes:
        path: Where it was looked for.
    """

    def __init__(self, path: Path, reason: str = "no bundle.yaml and manifest.json there") -> None:
        super().__init__(f"no model bundle at {str(path)!r}: {reason}")
        self.path = path


class BundleAltered(ModelError, ValueError):
    """A file of a bundle differs from the manifest, or the manifest from its pinned hash.

    Attributes:
        file: The file's name inside the bundle.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"model bundle refused: {file}: {reason}; install it again from its source")
        self.file = file


class BundleUntrusted(ModelError, PermissionError):
    """Nobody vouched for a bundle.

    Attributes:
        path: The bundle.
        sha256: Hash of its manifest, which the caller may name as trusted.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        super().__init__(
            f"the model bundle at {str(path)!r} is not known; if you got it from a source you trust and its manifest's "
            f"SHA-256 is {sha256}, name that hash as trusted"
        )
        self.path = path
        self.sha256 = sha256


class BundleIncompatible(ModelError, ValueError):
    """A bundle is intact, but this version cannot run it."""


class ConfigError(CoreError, ValueError):
    """A configuration cannot be used."""


class OutOfMemory(CoreError, MemoryError):
    """The study does not fit the memory limit.

    Attributes:
        needed_bytes: Estimate of what the study needs.
        limit_bytes: The limit.
    """

    def __init__(self, needed_bytes: int, limit_bytes: int) -> None:
        gib = 1024**3
        super().__init__(
            f"segmenting this study needs about {needed_bytes / gib:.1f} GiB, "
            f"the limit is {limit_bytes / gib:.1f} GiB; raise the limit or use a machine with more memory"
        )
        self.needed_bytes = needed_bytes
        self.limit_bytes = limit_bytes


class DeviceUnavailable(CoreError, RuntimeError):
    """The device asked for is not there.

    Attributes:
        device: What was asked for.
        available: What there is.
    """

    def __init__(self, device: str, available: tuple[str, ...]) -> None:
        super().__init__(f"there is no device {device!r} for inference here; choose one of {', '.join(available)}")
        self.device = device
        self.available = available


class EvaluationError(CoreError, ValueError):
    """Predictions and references cannot be compared."""


class TrainingError(CoreError, RuntimeError):
    """A training run cannot go on."""


class CheckpointDamaged(TrainingError, ValueError):
    """A checkpoint is torn or altered; it is not loaded."""


class CheckpointMismatch(TrainingError, ValueError):
    """A checkpoint belongs to another network or configuration than the one asked for."""


class LossNotFinite(TrainingError, ArithmeticError):
    """The loss stayed NaN or infinite after going back and lowering the rate as often as was allowed."""


class TrainingOutOfMemory(TrainingError, MemoryError):
    """Even one patch at a time does not fit into memory."""


class DiskFull(TrainingError, OSError):
    """The disk of the run folder stayed full; everything up to the last checkpoint is kept."""


class TrackingUnavailable(TrainingError, OSError):
    """A tracking store cannot be opened at all; training itself goes on without it."""


class MissingDependency(CoreError, ImportError):
    """An optional extra is not installed.

    Attributes:
        package: The library that is missing.
        extra: The extra that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs {package!r}: install it with pip install 'tds-core[{extra}]'")
        self.package = package
        self.extra = extra
