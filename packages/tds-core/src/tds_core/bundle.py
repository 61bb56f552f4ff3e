"""Model bundles: folders that say everything about a model, and are refused when anything in them changed.

A bundle holds `bundle.yaml`, `weights.safetensors`, `model.onnx` (a graph whose tensors lie in the weights file),
`MODEL_CARD.md`, `golden.npz` and `manifest.json`, which lists the SHA-256 of each of them; an ensemble holds more
graphs and weights. The SHA-256 of the manifest
is the bundle's identity. The default bundle's identity is pinned in this package; any other bundle is loaded only when
the caller names its identity as trusted.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import yaml

from tds_core._pinned import DEFAULT_BUNDLE_SHA256
from tds_core.description import (
    GRAPH_NAME,
    WEIGHTS_NAME,
    Member,
    NetworkUse,
    PostprocessConfig,
    read_postprocess,
    read_preprocess,
    read_use,
)
from tds_core.errors import BundleAltered, BundleIncompatible, BundleNotFound, BundleUntrusted
from tds_data.preprocess import PreprocessConfig
from tds_data.report import ModelIdentity
from tds_data.vocabulary import Modality

__all__ = [
    "CARD_NAME",
    "DEFAULT_BUNDLE",
    "DESCRIPTION_NAME",
    "FORMATS",
    "GOLDEN_NAME",
    "GRAPH_NAME",
    "MANIFEST_NAME",
    "WEIGHTS_NAME",
    "Bundle",
    "Member",
    "NetworkUse",
    "PostprocessConfig",
    "load_bundle",
    "write_manifest",
]

FORMATS: Final = (1, 2)
"""Versions of the bundle format that this package reads: that of the shipped bundle, and that of all others."""

MANIFEST_NAME: Final = "manifest.json"
DESCRIPTION_NAME: Final = "bundle.yaml"
GOLDEN_NAME: Final = "golden.npz"
CARD_NAME: Final = "MODEL_CARD.md"
DEFAULT_BUNDLE: Final = Path(__file__).parent / "bundles" / "default"
"""Where the bundle that ships with this package lies."""

_REQUIRED: Final = (DESCRIPTION_NAME, GRAPH_NAME, WEIGHTS_NAME, GOLDEN_NAME, CARD_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified model.

    Attributes:
        folder: Where it lies.
        identity: Name, version, hash, architecture and licence.
        preprocess: How cases become tensors.
        postprocess: How probabilities become masks.
        golden_sha256: Expected hash of the golden case's mask.
        reliable_with: The model was measured to work only where at least one of these sequences is present; empty
            when it needs none in particular.
        description: The whole of `bundle.yaml`.
        use: How its networks are run.
    """

    folder: Path
    identity: ModelIdentity
    preprocess: PreprocessConfig
    postprocess: PostprocessConfig
    golden_sha256: str
    reliable_with: tuple[Modality, ...]
    description: Mapping[str, object]
    use: NetworkUse = field(default_factory=NetworkUse)

    @property
    def graph(self) -> Path:
        """The ONNX graph; the first one of an ensemble."""
        return self.folder / self.use.members[0].graph


def load_bundle(path: Path | None = None, *, trusted: Collection[str] = ()) -> Bundle:
    """Return a bundle after checking every file of it.

    Args:
        path: Folder of the bundle; the default bundle if `None`.
        trusted: SHA-256 values of manifests to accept besides the pinned one.

    Raises:
        BundleNotFound: If there is no bundle.
        BundleUntrusted: If nobody vouches for the manifest's hash.
        BundleAltered: If a file differs from the manifest.
        BundleIncompatible: If this version cannot run it.
    """
    folder = DEFAULT_BUNDLE if path is None else path
    try:
        manifest = (folder / MANIFEST_NAME).read_bytes()
    except OSError as error:
        raise BundleNotFound(folder) from error
    sha256 = hashlib.sha256(manifest).hexdigest()
    if path is None and sha256 != DEFAULT_BUNDLE_SHA256:
        raise BundleAltered(MANIFEST_NAME, f"its hash is {sha256[:12]}…, pinned is {DEFAULT_BUNDLE_SHA256[:12]}…")
    if sha256 not in {DEFAULT_BUNDLE_SHA256, *(t.lower() for t in trusted)}:
        raise BundleUntrusted(folder, sha256)
    version = _check_files(folder, manifest)
    return _describe(folder, sha256, version)


def write_manifest(folder: Path, *, version: int = FORMATS[0]) -> str:
    """Write the manifest over a bundle's files and return its SHA-256, the bundle's identity.

    Args:
        folder: The bundle; every file in it but the manifest is listed, and there are no folders in it.
        version: One of `FORMATS`.
    """
    paths = sorted(p for p in folder.iterdir() if p.name != MANIFEST_NAME)
    files = {p.name: {"sha256": _hash(p), "bytes": p.stat().st_size} for p in paths}
    text = json.dumps({"format": version, "files": files}, indent=2) + "\n"
    (folder / MANIFEST_NAME).write_bytes(text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def _check_files(folder: Path, manifest: bytes) -> int:
    """Compare every file with the manifest, and return the format that it says."""
    version, hashes = _read_manifest(manifest)
    for required in _REQUIRED:
        if required not in hashes:
            raise BundleAltered(required, "the manifest does not list it")
    unlisted = sorted({entry.name for entry in folder.iterdir()} - {MANIFEST_NAME, *hashes})
    if unlisted:
        raise BundleAltered(unlisted[0], "it lies in the bundle, but the manifest does not list it")
    for name, expected in hashes.items():
        try:
            actual = _hash(folder / name)
        except OSError as error:
            raise BundleAltered(name, "the file is missing or cannot be read") from error
        if actual != expected:
            raise BundleAltered(name, f"its hash is {actual[:12]}…, the manifest says {expected[:12]}…")
    return version


def _read_manifest(manifest: bytes) -> tuple[int, dict[str, str]]:
    """Return the format and the expected hash of each file, by its name."""
    try:
        document = json.loads(manifest)
        version = document["format"]
        files = document["files"] if version in FORMATS else {}
        hashes = {str(name): str(entry["sha256"]) for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleAltered(MANIFEST_NAME, "it cannot be read") from error
    if version not in FORMATS:
        known = " and ".join(map(str, FORMATS))
        message = f"the bundle has format {version}; this version of tds-core reads formats {known}"
        raise BundleIncompatible(message)
    if any(name != PurePosixPath(name).name or name != PureWindowsPath(name).name for name in hashes):
        raise BundleAltered(MANIFEST_NAME, "it names a file outside the bundle")
    return version, hashes


def _describe(folder: Path, sha256: str, version: int) -> Bundle:
    try:
        document = yaml.safe_load((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        return _from_description(folder, sha256, document, version)
    except BundleIncompatible:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        message = f"{DESCRIPTION_NAME} lacks or garbles a field: {error}"
        raise BundleIncompatible(message) from error


def _from_description(folder: Path, sha256: str, document: Mapping[str, Any], version: int) -> Bundle:
    if document["format"] != version:
        message = f"{DESCRIPTION_NAME} has format {document['format']}, {MANIFEST_NAME} has {version}"
        raise BundleIncompatible(message)
    use = read_use(document)
    absent = [member.graph for member in use.members if not _is_in(folder, member.graph)]
    if absent:
        message = f"{DESCRIPTION_NAME} names the graph {absent[0]!r}, which is not in the bundle"
        raise BundleIncompatible(message)
    return Bundle(
        folder=folder,
        identity=ModelIdentity(
            name=document["name"],
            version=document["version"],
            sha256=sha256,
            architecture=document["architecture"]["name"],
            licence=document["licence"],
        ),
        preprocess=read_preprocess(document, use),
        postprocess=read_postprocess(document, use.task),
        golden_sha256=str(document["golden"]["sha256"]),
        reliable_with=tuple(Modality(m) for m in document.get("reliable_with", ())),
        description=document,
        use=use,
    )


def _is_in(folder: Path, name: str) -> bool:
    """Return whether a file lies in the bundle itself, where the manifest lists every file."""
    return name == PurePosixPath(name).name == PureWindowsPath(name).name and (folder / name).is_file()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
