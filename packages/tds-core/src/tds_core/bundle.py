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
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import yaml

from tds_core._pinned import DEFAULT_BUNDLE_SHA256
from tds_core.errors import BundleAltered, BundleIncompatible, BundleNotFound, BundleUntrusted
from tds_data.preprocess import PreprocessConfig
from tds_data.report import ModelIdentity
from tds_data.vocabulary import REGIONS, Modality, Region

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

_REQUIRED: Final = (DESCRIPTION_NAME, GRAPH_NAME, WEIGHTS_NAME, GOLDEN_NAME, CARD_NAME)
_AXES: Final = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessConfig:
    """How probabilities become a mask.

    Attributes:
        thresholds: Smallest probability that counts as inside, per region.
        min_lesion_ml: Lesions smaller than this are dropped, millilitres.
        mirror: Axes (0 x, 1 y, 2 z) that are mirrored in turn; predictions of all combinations are averaged.

    Raises:
        BundleIncompatible: If a threshold is missing or a value is out of range.
    """

    thresholds: Mapping[Region, float]
    min_lesion_ml: float
    mirror: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for region in REGIONS:
            if not 0.0 <= self.thresholds.get(region, -1.0) <= 1.0:
                message = f"the bundle needs a threshold between 0 and 1 for {region}; it has {dict(self.thresholds)}"
                raise BundleIncompatible(message)
        if not self.min_lesion_ml >= 0.0:
            message = f"the bundle drops lesions below {self.min_lesion_ml} mL; that must be 0 or more"
            raise BundleIncompatible(message)
        if len(set(self.mirror)) < len(self.mirror) or not set(self.mirror) <= set(_AXES):
            message = f"the bundle mirrors axes {self.mirror}; they must be different ones of {_AXES}"
            raise BundleIncompatible(message)


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
    """

    folder: Path
    identity: ModelIdentity
    preprocess: PreprocessConfig
    postprocess: PostprocessConfig
    golden_sha256: str
    reliable_with: tuple[Modality, ...]
    description: Mapping[str, object]

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
        folder: The bundle; every file in it but the manifest is listed, and there are no folders in it.
    """
    paths = sorted(p for p in folder.iterdir() if p.name != MANIFEST_NAME)
    files = {p.name: {"sha256": _hash(p), "bytes": p.stat().st_size} for p in paths}
    text = json.dumps({"format": FORMAT, "files": files}, indent=2) + "\n"
    (folder / MANIFEST_NAME).write_bytes(text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def _check_files(folder: Path, manifest: bytes) -> None:
    hashes = _read_manifest(manifest)
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


def _read_manifest(manifest: bytes) -> dict[str, str]:
    """Return the expected hash of each file, by its name."""
    try:
        document = json.loads(manifest)
        version = document["format"]
        files = document["files"] if version == FORMAT else {}
        hashes = {str(name): str(entry["sha256"]) for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleAltered(MANIFEST_NAME, "it cannot be read") from error
    if version != FORMAT:
        message = f"the bundle has format {version}; this version of tds-core reads format {FORMAT}"
        raise BundleIncompatible(message)
    if any(name != PurePosixPath(name).name or name != PureWindowsPath(name).name for name in hashes):
        raise BundleAltered(MANIFEST_NAME, "it names a file outside the bundle")
    return hashes


def _describe(folder: Path, sha256: str) -> Bundle:
    try:
        document = yaml.safe_load((folder / DESCRIPTION_NAME).read_text(encoding="utf-8"))
        return _from_description(folder, sha256, document)
    except BundleIncompatible:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        message = f"{DESCRIPTION_NAME} lacks or garbles a field: {error}"
        raise BundleIncompatible(message) from error


def _from_description(folder: Path, sha256: str, document: Mapping[str, Any]) -> Bundle:
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
        golden_sha256=str(document["golden"]["sha256"]),
        reliable_with=tuple(Modality(m) for m in document.get("reliable_with", ())),
        description=document,
    )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
