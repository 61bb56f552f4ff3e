"""The Medical Segmentation Decathlon: `dataset.json`, 4D images in `imagesTr` and `imagesTs`, masks in `labelsTr`.

Antonelli et al. 2022 (arXiv 2106.05735). Channels and labels are what `dataset.json` says; in Task01 these are FLAIR,
T1w, T1gd, T2w, and 1 oedema, 2 non-enhancing core, 3 enhancing tumour.
"""

from collections.abc import Mapping
from typing import Any, Final

from tds_data.datasets._cases_table import with_table
from tds_data.datasets._dataset_json import (
    DATASET_JSON,
    channels_of,
    kept_attributes,
    labels_of,
    licence_of,
    listed_file,
    read_description,
    scheme_of_labels,
)
from tds_data.datasets._drafts import SPLIT, TEST, Draft, Found, Place
from tds_data.datasets._patients import patient_of
from tds_data.datasets._tree import Tree, image_stem
from tds_data.errors import DatasetError, VolumeReadError
from tds_data.nifti import read_shape

NAME: Final = "decathlon"
"""What the layout is called."""

_FOURTH_AXIS: Final = 3


def recognise(tree: Tree) -> bool:
    """Tell whether a folder is in this layout.

    Args:
        tree: What lies in it.

    Raises:
        DatasetError: If there is a `dataset.json` that cannot be read.
    """
    if DATASET_JSON not in tree.known:
        return False
    document = read_description(tree.root / DATASET_JSON)
    listed = [entry for key in ("training", "test") for entry in _listed(document, key)]
    return any(_image_of(entry) in tree.known for entry in listed)


def read(tree: Tree) -> Found:
    """Return the cases that `dataset.json` lists.

    Args:
        tree: What lies in the folder.

    Raises:
        DatasetError: If `dataset.json` cannot be used.
    """
    document = read_description(tree.root / DATASET_JSON)
    channels = channels_of(document)
    labels = labels_of(document)
    drafts: list[Draft] = []
    problems: list[str] = []
    for entry, split in [(e, {}) for e in _listed(document, "training")] + [
        (e, {SPLIT: TEST}) for e in _listed(document, "test")
    ]:
        try:
            drafts.append(_draft(tree, entry, tuple(channels), split))
        except (DatasetError, VolumeReadError) as error:
            problems.append(str(error))
    return Found(
        layout=NAME,
        drafts=with_table(tree, drafts, problems),
        expected=tuple(channels),
        scheme=scheme_of_labels(labels),
        labels=labels,
        licence=licence_of(document),
        attributes=kept_attributes(document, channels),
        problems=tuple(problems),
    )


def _listed(document: Mapping[str, Any], key: str) -> list[object]:
    listed = document.get(key, [])
    if not isinstance(listed, list):
        message = f"dataset.json: {key!r} is no list; take it from the original again"
        raise DatasetError(message)
    return listed


def _image_of(entry: object) -> str | None:
    image = entry.get("image") if isinstance(entry, dict) else entry
    return image.removeprefix("./") if isinstance(image, str) else None


def _draft(tree: Tree, entry: object, channels: tuple[str, ...], attributes: Mapping[str, str]) -> Draft:
    named = _image_of(entry)
    if named is None:
        message = f"dataset.json lists {str(entry)[:80]!r}, which names no image"
        raise DatasetError(message)
    image = listed_file(tree, named)
    label = entry.get("label") if isinstance(entry, dict) else None
    name = image_stem(image.rpartition("/")[2])
    shape = read_shape(tree.root / image)
    count = shape[_FOURTH_AXIS] if len(shape) > _FOURTH_AXIS else 1
    if count != len(channels) or len(shape) > _FOURTH_AXIS + 1:
        message = f"{image!r} has shape {shape}, and dataset.json names {len(channels)} channels"
        raise DatasetError(message)
    places = {key: Place(path=image, index=None if count == 1 else i) for i, key in enumerate(channels)}
    mask = Place(path=listed_file(tree, label)) if isinstance(label, str) else None
    return Draft(name=name, patient=patient_of(name), images=places, mask=mask, attributes=attributes)
