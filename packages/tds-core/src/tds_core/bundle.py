"""Model bundles: folders that say everything about a model, and are refused when anything in them changed.

A bundle holds `bundle.yaml`, `weights.safetensors`, `model.onnx` (a graph whose tensors lie in the weights file),
`MODEL_CARD.md`, `golden.npz` and `manifest.json`, which lists the SHA-256 of each of them. The SHA-256 of the manifest
is the bundle's identity. The default bundle's identity is pinned in this package; any other bundle is loaded only when
the caller names its identity as trusted.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml
from tds_data.preprocess import PreprocessConfig
from tds_data.report import ModelIdentity
from tds_data.vocabulary import REGIONS, Modality, Region

from tds_core._pinned import DEFAULT_BUNDLE_SHA256
from tds_core.errors import BundleAltered, BundleIncompatible, BundleNotFound, BundleUntrusted

FORMAT: Final = 1
"""Version of the bundle format that this package reads and writes."""

MANIFEST_NAME: Final = "manifest.json"
DESCRIPTION_NAME: Final = "bundle.yaml"
GRAPH_NAME: Final = "model.onnx"
WEIGHTS_NAME: Final = "weights.safetensors"
GOLDEN_NAME: Final = "golden.npz"
CARD_NAME: Final = "MODEL_CARD.md"
DEFAULT_BUNDLE: Final = Path(__file__).parent / "bundles" / "default"
"""Where the bundle that ships with this package lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessConfig:
    """How probabilities become a mask.

    Attributes:
        thresholds: Smallest probability that counts as inside, per region.
        min_lesion_ml: Lesions smaller than this are dropped, millilitres.
        mirror: Axes (0 x, 1 y, 2 z) that are mirrored in turn; predictions of all combinations are averaged.
    """

    thresholds: Mapping[Region, float]
    min_lesion_ml: float
    mirror: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified model.

    Attributes:
        folder: Where it lies.
        identity: Name, version, hash, architecture and licence.
        preprocess: How cases become tensors.
        postprocess: How probabilities become masks.
        description: The whole of `bundle.yaml`.
    """

    folder: Path
    identity: ModelIdentity
    preprocess: PreprocessConfig
    postprocess: PostprocessConfig
    description: Mapping[str, Any]

    @property
    def graph(self) -> Path:
        """The ONNX graph."""
        return self.folder / GRAPH_NAME


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
    _check_files(folder, manifest)
    return _describe(folder, sha256)


def write_manifest(folder: Path) -> str:
    """Write the manifest over a bundle's files and return its SHA-256, the bundle's identity.

    Args:
        folder: The bundle; every file in it but the manifest is listed.
    """
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != MANIFEST_NAME)
    files = {name: {"sha256": _hash(folder / name), "bytes": (folder / name).stat().st_size} for name in names}
    text = json.dumps({"format": FORMAT, "files": files}, indent=2) + "\n"
    (folder / MANIFEST_NAME).write_bytes(text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def _check_files(folder: Path, manifest: bytes) -> None:
    try:
        document = json.loads(manifest)
        files: dict[str, dict[str, Any]] = document["files"]
        version = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleAltered(MANIFEST_NAME, "it cannot be read") from error
    if version != FORMAT:
        message = f"the bundle has format {version}; this version of tds-core reads format {FORMAT}"
        raise BundleIncompatible(message)
    for required in (DESCRIPTION_NAME, GRAPH_NAME, WEIGHTS_NAME, GOLDEN_NAME, CARD_NAME):
        if required not in files:
            raise BundleAltered(required, "the manifest does not list it")
    for name, entry in files.items():
        if PurePosixPath(name).name != name:
            raise BundleAltered(MANIFEST_NAME, "it names a file outside the bundle")
        try:
            actual = _hash(folder / name)
        except OSError as error:
            raise BundleAltered(name, "the file is missing or cannot be read") from error
        if actual != entry["sha256"]:
            raise BundleAltered(name, f"its hash is {actual[:12]}…, the manifest says {entry['sha256'][:12]}…")


def _describe(folder: Path, sha256: str) -> Bundle:
    document = yaml.safe_load((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    try:
        if tuple(document["regions"]) != REGIONS:
            message = f"the bundle predicts {document['regions']}; this version needs {list(REGIONS)} in that order"
            raise BundleIncompatible(message)
        before, after = document["preprocessing"], document["postprocessing"]
        return Bundle(
            folder=folder,
            identity=ModelIdentity(
                name=document["name"],
                version=document["version"],
                sha256=sha256,
                architecture=document["architecture"]["name"],
                licence=document["licence"],
            ),
            preprocess=PreprocessConfig(
                modalities=tuple(Modality(m) for m in document["modalities"]),
                spacing_mm=float(before["spacing_mm"]),
                clip=float(before["clip"]),
            ),
            postprocess=PostprocessConfig(
                thresholds={Region(k): float(v) for k, v in after["thresholds"].items()},
                min_lesion_ml=float(after["min_lesion_ml"]),
                mirror=tuple(int(a) for a in after["mirror"]),
            ),
            description=document,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BundleIncompatible):
            raise
        message = f"{DESCRIPTION_NAME} lacks or garbles a field: {error}"
        raise BundleIncompatible(message) from error


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
