"""Folds as files: our own document, and the one that nnU-Net reads."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tds_data.curation._json_file import write_json
from tds_data.curation.folds import Folds
from tds_data.datasets._manifest_json import load_document
from tds_data.datasets.manifest import Manifest
from tds_data.errors import FoldError, ManifestError, VolumeWriteError

FOLDS_VERSION: Final = "1.0"
"""Version of the JSON form; the major number changes when a reader of the old form would break."""

NNUNET_SPLITS_NAME: Final = "splits_final.json"
"""What nnU-Net calls its file, in the folder of the preprocessed data set."""

_KEYS: Final = {"version", "manifest_sha256", "seed", "attribute", "folds", "holdout", "left_out", "volumes_ml"}


def write_folds(folds: Folds, path: Path) -> None:
    """Write a split as JSON, whole or not at all.

    Args:
        folds: The split.
        path: Target; an existing file is replaced.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    document = {
        "version": FOLDS_VERSION,
        "manifest_sha256": folds.manifest_sha256,
        "seed": folds.seed,
        "attribute": folds.attribute,
        "folds": [list(fold) for fold in folds.folds],
        "holdout": list(folds.holdout),
        "left_out": list(folds.left_out),
        "volumes_ml": dict(folds.volumes_ml),
    }
    _write(path, document)


def write_nnunet_splits(folds: Folds, path: Path) -> None:
    """Write a split as nnU-Net v2 reads it: for each fold the cases to train on and to validate with.

    Args:
        folds: The split; its holdout is in neither list.
        path: Target, `splits_final.json` in the folder of nnU-Net's preprocessed data set; what is there is replaced.

    Raises:
        VolumeWriteError: If it cannot be written.
    """
    splits = [{"train": list(folds.training(number)), "val": list(fold)} for number, fold in enumerate(folds.folds)]
    _write(path, splits)


def read_nnunet_splits(path: Path) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Return the cases to train on and to validate with, for each fold in nnU-Net's file.

    Args:
        path: A `splits_final.json`.

    Raises:
        FoldError: If it cannot be read or holds anything else.
    """
    try:
        splits = load_document(path)
    except ManifestError as error:
        raise FoldError(str(error)) from error
    if not isinstance(splits, list) or not all(isinstance(s, dict) and set(s) == {"train", "val"} for s in splits):
        message = f"{path.name!r} is no list of folds with 'train' and 'val' each; make it again"
        raise FoldError(message)
    return tuple((_names(split["train"], "train"), _names(split["val"], "val")) for split in splits)


def read_folds(path: Path, *, manifest: Manifest | None = None) -> Folds:
    """Return the split that a file holds.

    Args:
        path: What `write_folds` wrote.
        manifest: The data set that it has to belong to, as it is now.

    Raises:
        FoldError: If it cannot be read, is of another version, has unknown keys or values of the wrong kind, or was
            made for another data set.
    """
    try:
        document = load_document(path)
    except ManifestError as error:
        raise FoldError(str(error)) from error
    folds = _parse(document)
    if manifest is not None:
        folds.check(manifest)
    return folds


def _parse(document: object) -> Folds:
    if not isinstance(document, dict) or not isinstance(document.get("version"), str):
        message = "not a file of folds: that is a JSON object with a version"
        raise FoldError(message)
    if document["version"].partition(".")[0] != FOLDS_VERSION.partition(".")[0]:
        message = f"folds of version {document['version'][:40]!r} cannot be read; this version reads {FOLDS_VERSION}"
        raise FoldError(message)
    unknown, missing = sorted(set(document) - _KEYS), sorted(_KEYS - set(document))
    if unknown or missing:
        told = f"have unknown keys, {unknown[0]!r} among them" if unknown else f"lack {', '.join(missing)}"
        message = f"the folds {told}; folds of version {FOLDS_VERSION} have {', '.join(sorted(_KEYS))}"
        raise FoldError(message)
    return Folds(
        manifest_sha256=_text(document, "manifest_sha256"),
        seed=_seed(document["seed"]),
        attribute=None if document["attribute"] is None else _text(document, "attribute"),
        folds=tuple(_names(fold, "folds") for fold in _list(document["folds"], "folds")),
        holdout=_names(document["holdout"], "holdout"),
        left_out=_names(document["left_out"], "left_out"),
        volumes_ml=_volumes(document["volumes_ml"]),
    )


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document[key]
    if not isinstance(value, str):
        raise _wrong(key, "a text")
    return value


def _seed(value: object) -> int:
    if type(value) is not int or value < 0:
        raise _wrong("seed", "a whole number from 0 on")
    return value


def _list(value: object, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(key, "a list")
    return value


def _names(value: object, key: str) -> tuple[str, ...]:
    names = _list(value, key)
    if not all(isinstance(name, str) for name in names):
        raise _wrong(key, "made of names")
    return tuple(names)


def _volumes(value: object) -> dict[str, float]:
    if not isinstance(value, dict) or not all(_is_volume(volume) for volume in value.values()):
        raise _wrong("volumes_ml", "an object of millilitres")
    return {name: float(volume) for name, volume in value.items()}


def _is_volume(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _wrong(key: str, kind: str) -> FoldError:
    return FoldError(f"in the folds, {key} is to be {kind}; make them again")


def _write(path: Path, document: object) -> None:
    try:
        write_json(path, document)
    except OSError as error:
        raise VolumeWriteError(path, error.strerror or str(error)) from error
