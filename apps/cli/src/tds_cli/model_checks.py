"""What a model bundle says of itself, and whether it is still what it was."""

from dataclasses import asdict
from typing import Any

from tds_cli.model import ModelRequest, load_model, open_bundle

_SHOWN = (
    "modalities",
    "regions",
    "task",
    "heads",
    "members",
    "provenance",
    "training",
    "inference",
    "preprocessing",
    "postprocessing",
    "precision",
)


def describe_model(request: ModelRequest) -> dict[str, Any]:
    """Return a verified bundle's identity and what its description says of inputs, outputs and origin.

    Args:
        request: Which bundle.

    Raises:
        ModelError: If it is refused.
    """
    bundle = open_bundle(request)
    told = {key: bundle.description[key] for key in _SHOWN if key in bundle.description}
    return {**asdict(bundle.identity), **told, "folder": str(bundle.folder)}


def verify_model(request: ModelRequest) -> dict[str, Any]:
    """Return a bundle's identity after hashing its files and running its golden case.

    Args:
        request: Which bundle, and where to run it.

    Raises:
        ModelError: If a file or the golden case's result differs.
    """
    model = load_model(request)
    from tds_core.golden import verify_golden  # noqa: PLC0415  # after the files themselves were found intact

    verify_golden(model.bundle, model.engine)
    return {**asdict(model.bundle.identity), "verified": True}
