"""The model and the engine that runs it, as a command asks for them."""

from dataclasses import dataclass
from pathlib import Path

from tds_core.bundle import Bundle, load_bundle
from tds_core.engine import Engine, Ensemble, open_model


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Which model to run, and where.

    Attributes:
        folder: A model bundle; the one that ships with tds-core if `None`.
        trusted: SHA-256 values of manifests to accept besides the pinned one.
        device: `cpu`, `gpu` or `auto`.
    """

    folder: Path | None = None
    trusted: tuple[str, ...] = ()
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A verified bundle and what runs it."""

    bundle: Bundle
    engine: Engine | Ensemble


def open_bundle(request: ModelRequest) -> Bundle:
    """Return the verified bundle.

    Args:
        request: Which one.

    Raises:
        ModelError: If it is missing, altered or nobody vouches for it.
    """
    return load_bundle(request.folder, trusted=request.trusted)


def load_model(request: ModelRequest) -> LoadedModel:
    """Return the verified bundle with what runs it.

    Args:
        request: Which one, and where to run it.

    Raises:
        ModelError: If the bundle is refused.
        DeviceUnavailable: If there is no such device.
    """
    bundle = open_bundle(request)
    return LoadedModel(bundle=bundle, engine=open_model(bundle, device=request.device))
