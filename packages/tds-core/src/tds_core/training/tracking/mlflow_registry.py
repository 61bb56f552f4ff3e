"""Bundles in MLflow's model registry.

A version there points to the bundle that was stored as files of the run. It has no loader of MLflow's own: a bundle is
only ever loaded by tds-core, which asks for a hash that somebody vouches for.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # takes seconds
    from mlflow.tracking import MlflowClient

SHA256_TAG: Final = "tds.manifest_sha256"
"""Tag that holds the bundle's identity."""

BUNDLE_PLACE: Final = "bundle"
"""Folder of the bundle among the files of a run."""


def register_version(client: "MlflowClient", run: str, model: str, tags: Mapping[str, str]) -> None:
    """Enter a stored bundle into the registry, unless it is there already.

    Args:
        client: Connected.
        run: MLflow's name of the run that stored it.
        model: Name in the registry; made if needed.
        tags: Of the version, among them the manifest's SHA-256.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415  # extra `track`

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"run_id='{run}'"):
        if version.name == model and version.tags.get(SHA256_TAG) == tags[SHA256_TAG]:
            return
    source = f"{client.get_run(run).info.artifact_uri}/{BUNDLE_PLACE}"
    client.create_model_version(model, source, run_id=run, tags=dict(tags))
