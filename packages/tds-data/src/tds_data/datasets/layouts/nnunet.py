"""nnU-Net's raw data sets, version 2: one file per channel, `NAME_0000.nii.gz`, and `dataset.json`.

Isensee et al. 2021 (doi 10.1038/s41592-020-01008-z). Version 1, whose `dataset.json` has `modality` and no
`file_ending`, is read as well.
"""

import re
from collections import defaultdict
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
from tds_data.datasets._tree import Tree

NAME: Final = "nnunet"
"""What the layout is called."""

_CHANNEL: Final = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_SPLITS: Final[Mapping[str, Mapping[str, str]]] = {"Tr": {}, "Ts": {SPLIT: TEST}}


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
    ending = _ending(document)
    names = (*tree.by_folder.get("imagesTr", ()), *tree.by_folder.get("imagesTs", ()))
    return "dataset" in document or any(_channel(name, ending) is not None for name in names)


def read(tree: Tree) -> Found:
    """Return the cases in `imagesTr` and `imagesTs`, or those that `dataset.json` lists under `dataset`.

    Args:
        tree: What lies in the folder.

    Raises:
        DatasetError: If `dataset.json` cannot be used.
    """
    document = read_description(tree.root / DATASET_JSON)
    channels = channels_of(document)
    labels = labels_of(document)
    problems: list[str] = []
    listed = document.get("dataset")
    if isinstance(listed, dict):
        drafts = _listed(tree, listed, tuple(channels), problems)
    else:
        drafts = [
            draft for part in _SPLITS for draft in _in_folder(tree, part, _ending(document), tuple(channels), problems)
        ]
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


def _ending(document: Mapping[str, Any]) -> str:
    ending = document.get("file_ending", ".nii.gz")
    return ending if isinstance(ending, str) else ".nii.gz"


def _channel(name: str, ending: str) -> tuple[str, int] | None:
    match = _CHANNEL.fullmatch(name.removesuffix(ending)) if name.endswith(ending) else None
    return None if match is None else (match["case"], int(match["channel"]))


def _in_folder(tree: Tree, part: str, ending: str, channels: tuple[str, ...], problems: list[str]) -> list[Draft]:
    folder = f"images{part}"
    cases: dict[str, dict[str, Place]] = defaultdict(dict)
    for file in tree.by_folder.get(folder, ()):
        found = _channel(file, ending)
        path = f"{folder}/{file}"
        if found is None:
            problems.append(f"{path}: the name does not end in a channel, such as _0000{ending}")
        elif found[1] >= len(channels):
            problems.append(f"{path}: dataset.json names only {len(channels)} channels")
        else:
            cases[found[0]][channels[found[1]]] = Place(path=path)
    drafts = []
    for case, images in sorted(cases.items()):
        label = f"labels{part}/{case}{ending}"
        mask = Place(path=label) if label in tree.known else None
        ordered = {key: images[key] for key in channels if key in images}
        drafts.append(Draft(name=case, patient=patient_of(case), images=ordered, mask=mask, attributes=_SPLITS[part]))
    used = {draft.mask.path for draft in drafts if draft.mask is not None}
    labels = (f"labels{part}/{name}" for name in tree.images(f"labels{part}"))
    problems.extend(f"{path}: there is no image for this mask" for path in labels if path not in used)
    return drafts


def _listed(tree: Tree, listed: Mapping[str, Any], channels: tuple[str, ...], problems: list[str]) -> list[Draft]:
    drafts = []
    for case, entry in listed.items():
        try:
            places = [Place(path=listed_file(tree, path)) for path in entry["images"]]
            images = dict(zip(channels, places, strict=True))
            mask = Place(path=listed_file(tree, entry["label"])) if entry.get("label") else None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{case}: dataset.json lists files that cannot be taken ({error})")
            continue
        drafts.append(Draft(name=case, patient=patient_of(case), images=images, mask=mask))
    return drafts
