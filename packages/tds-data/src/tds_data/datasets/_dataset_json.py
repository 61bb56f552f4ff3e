"""The `dataset.json` of the Medical Segmentation Decathlon and of nnU-Net."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tds_data.datasets._paths import check_relative
from tds_data.datasets._tree import Tree
from tds_data.datasets.schemes import scheme_of_values, tissues_of
from tds_data.errors import DatasetError, LabelError, ManifestError
from tds_data.sequence_names import alias

DATASET_JSON: Final = "dataset.json"
"""Name of the description, in the root."""

CHANNELS: Final = "channels"
"""Attribute of a manifest that keeps what a data set calls its channels: a JSON object, in channel order."""

REGIONS_ORDER: Final = "regions_class_order"
"""Attribute of a manifest that keeps nnU-Net's `regions_class_order`: a JSON list."""

_BACKGROUND: Final = "background"
_KEPT: Final = ("name", "description", "reference", "release")


def read_description(path: Path) -> dict[str, Any]:
    """Return what a `dataset.json` holds.

    Args:
        path: The file.

    Raises:
        DatasetError: If it cannot be read or is no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path.name!r} cannot be read as JSON ({error}); correct it or take it from the original again"
        raise DatasetError(message) from error
    if not isinstance(document, dict):
        message = f"{path.name!r} is no JSON object; take it from the original again"
        raise DatasetError(message)
    return document


def listed_file(tree: Tree, path: object) -> str:
    """Return the path of a file that a `dataset.json` lists, in its shortest form.

    Args:
        tree: What lies in the data set's folder.
        path: As it is written there.

    Raises:
        DatasetError: If it leaves the folder or is not there.
    """
    plain = str(path).removeprefix("./")
    try:
        check_relative(plain)
    except ManifestError as error:
        message = f"dataset.json lists a file that cannot be taken: {error}"
        raise DatasetError(message) from error
    if plain not in tree.known:
        message = f"dataset.json lists {plain!r}, which is not there"
        raise DatasetError(message)
    return plain


def channels_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return what a data set calls each of its channels, by this package's names, in channel order.

    Args:
        document: A `dataset.json`, with `channel_names` or `modality`.

    Raises:
        DatasetError: If it has neither, or two channels would share a name.

    Examples:
        >>> [f"{name}: {word}" for name, word in channels_of({"modality": {"0": "FLAIR", "1": "T1w"}}).items()]
        ['flair: FLAIR', 't1: T1w']
    """
    named = document.get("channel_names", document.get("modality"))
    try:
        words = [str(named[key]) for key in sorted(named, key=int)]
        numbers = sorted(int(key) for key in named)
    except (TypeError, ValueError, KeyError) as error:
        message = 'dataset.json has no channel order; it needs \'channel_names\', such as {"0": "FLAIR", "1": "T1w"}'
        raise DatasetError(message) from error
    channels = {_channel_key(word): word for word in words}
    if len(channels) < len(words) or numbers != list(range(len(words))) or not words:
        message = f"dataset.json lists the channels {', '.join(words)}; they count up from 0, each under its own name"
        raise DatasetError(message)
    return channels


def labels_of(document: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the numbers of each label, without the background; several numbers make a region.

    Args:
        document: A `dataset.json` of the Decathlon (numbers to names) or of nnU-Net (names to numbers).

    Raises:
        DatasetError: If the labels are of another kind.
    """
    labels = document.get("labels")
    try:
        pairs = [_label(str(key), value) for key, value in labels.items()]  # type: ignore[union-attr]  # tried
    except (TypeError, ValueError, AttributeError) as error:
        message = 'dataset.json has no labels; it needs \'labels\', such as {"background": 0, "tumour": 1}'
        raise DatasetError(message) from error
    return {name: numbers for name, numbers in pairs if numbers != (0,) and name.lower() != _BACKGROUND}


def scheme_of_labels(labels: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the scheme that labels make up: one that is known, `custom`, or `none` without labels.

    Args:
        labels: What `labels_of` returned.

    Raises:
        DatasetError: If two labels share a number.
    """
    try:
        return scheme_of_values(tissues_of(labels)).name
    except LabelError as error:
        message = f"dataset.json has labels that cannot be told apart: {error}"
        raise DatasetError(message) from error


def kept_attributes(document: Mapping[str, Any], channels: Mapping[str, str]) -> dict[str, str]:
    """Return what a manifest keeps of a description.

    Args:
        document: A `dataset.json`.
        channels: What `channels_of` returned.
    """
    kept = {key: document[key] for key in _KEPT if isinstance(document.get(key), str) and document[key]}
    if REGIONS_ORDER in document:
        kept[REGIONS_ORDER] = json.dumps(document[REGIONS_ORDER])
    return kept | {CHANNELS: json.dumps(dict(channels), ensure_ascii=False)}


def licence_of(document: Mapping[str, Any]) -> str | None:
    """Return what a description says about its licence, however it spells the word.

    Args:
        document: A `dataset.json` or `dataset_description.json`.
    """
    found = (document.get(key) for key in ("licence", "license", "License", "Licence"))
    return next((text for text in found if isinstance(text, str) and text), None)


def _label(key: str, value: object) -> tuple[str, tuple[int, ...]]:
    """Return name and numbers; the Decathlon has them the other way round."""
    return (str(value), (int(key),)) if key.isdecimal() and isinstance(value, str) else (key, _numbers(value))


def _numbers(value: object) -> tuple[int, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int and number >= 0 for number in numbers) or not numbers:
        message = f"{value!r} is no label's number"
        raise ValueError(message)
    return tuple(numbers)


def _channel_key(word: str) -> str:
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in word.lower()).strip("-") or "channel"
    return alias(word) or {"pt": "pet"}.get(plain, plain)
