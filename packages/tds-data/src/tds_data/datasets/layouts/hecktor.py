"""HECKTOR: PET and CT of heads and necks, `CHUM-001__CT.nii.gz` and `CHUM-001__PT.nii.gz`, masks `CHUM-001.nii.gz`.

Images lie in `imagesTr` and `imagesTs` and masks in `labelsTr` (2022), or all of a case in one folder (2025). Labels:
1 primary tumour (GTVp), 2 lymph nodes (GTVn). Oreiller et al. 2022 (doi 10.1016/j.media.2021.102336).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from tds_data.datasets._cases_table import with_csv
from tds_data.datasets._drafts import SPLIT, TEST, Draft, Found, Place
from tds_data.datasets._tree import Tree, image_stem
from tds_data.errors import DatasetError

NAME: Final = "hecktor"
"""What the layout is called."""

_FILE: Final = re.compile(r"(?P<case>[^_].*?)__(?P<part>CT|PT)")
_KEYS: Final = {"CT": "ct", "PT": "pet"}


def recognise(tree: Tree) -> bool:
    """Tell whether a folder is in this layout.

    Args:
        tree: What lies in it.
    """
    return any(_FILE.fullmatch(image_stem(path.rpartition("/")[2])) for path in tree.files)


def read(tree: Tree) -> Found:
    """Return the cases whose files are named so.

    Args:
        tree: What lies in the folder.
    """
    found: dict[tuple[str, str], dict[str, Place]] = defaultdict(dict)
    problems: list[str] = []
    for folder in sorted(tree.by_folder):
        for name in tree.images(folder):
            match = _FILE.fullmatch(image_stem(name))
            if match is None:
                continue
            key, images = _KEYS[match["part"]], found[folder, match["case"]]
            if key in images:
                problems.append(f"{folder}/{name}: there are two files for {match['part']}; keep one of them")
            images[key] = Place(path=f"{folder}/{name}" if folder else name)
    stems = {folder: _by_stem(tree, folder) for folder in tree.by_folder}
    drafts = []
    for (folder, case), images in found.items():
        try:
            drafts.append(_draft(stems, folder, case, images))
        except DatasetError as error:
            problems.append(str(error))
    return Found(
        layout=NAME,
        drafts=with_csv(tree, drafts, problems),
        expected=("ct", "pet"),
        scheme="hecktor",
        problems=tuple(problems),
    )


def _by_stem(tree: Tree, folder: str) -> Mapping[str, list[str]]:
    """Return the names of a folder's images without a look at each of them for each case."""
    names: dict[str, list[str]] = defaultdict(list)
    for name in tree.images(folder):
        names[image_stem(name)].append(name)
    return dict(names)


def _draft(stems: Mapping[str, Mapping[str, list[str]]], folder: str, case: str, images: dict[str, Place]) -> Draft:
    parent, _, last = folder.rpartition("/")
    labels = {"imagesTr": "labelsTr", "imagesTs": "labelsTs"}.get(last)
    place = folder if labels is None else f"{parent}/{labels}".removeprefix("/")
    # HECKTOR's own page writes CHUM-001 for images and CHUM_001 for masks.
    names = dict.fromkeys((case, case.replace("-", "_")))
    known = stems.get(place, {})
    masks = [f"{place}/{name}".removeprefix("/") for stem in names for name in known.get(stem, ())]
    if len(masks) > 1:
        message = f"{masks[0]!r} and {masks[1]!r} are both masks of {case!r}; keep one of them"
        raise DatasetError(message)
    return Draft(
        name=case,
        patient=case,
        images=dict(sorted(images.items())),
        mask=Place(path=masks[0]) if masks else None,
        attributes={SPLIT: TEST} if last == "imagesTs" else {},
    )
