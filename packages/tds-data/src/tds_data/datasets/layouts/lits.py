"""LiTS: CT of livers, `volume-0.nii` with `segmentation-0.nii`, and `test-volume-0.nii`.

Labels: 1 liver, 2 tumour. Bilic et al. 2023 (arXiv 1901.04056).
"""

import re
from typing import Final

from tds_data.datasets._drafts import SPLIT, TEST, Draft, Found, Place
from tds_data.datasets._tree import Tree, image_stem

NAME: Final = "lits"
"""What the layout is called."""

_IMAGE: Final = re.compile(r"(?P<test>test-)?volume-(?P<number>\d+)")
_MASK: Final = re.compile(r"(?P<test>test-)?segmentation-(?P<number>\d+)")


def recognise(tree: Tree) -> bool:
    """Tell whether a folder is in this layout.

    Args:
        tree: What lies in it.
    """
    return any(_IMAGE.fullmatch(image_stem(path.rpartition("/")[2])) for path in tree.files)


def read(tree: Tree) -> Found:
    """Return the cases whose files are named so; image and mask may lie in different folders.

    Args:
        tree: What lies in the folder.
    """
    images: dict[tuple[str, int], str] = {}
    masks: dict[tuple[str, int], str] = {}
    problems: list[str] = []
    for path in tree.files:
        stem = image_stem(path.rpartition("/")[2])
        for pattern, found in ((_IMAGE, images), (_MASK, masks)):
            match = pattern.fullmatch(stem)
            if match is None:
                continue
            key = (match["test"] or "", int(match["number"]))
            if key in found:
                problems.append(f"{path}: {found[key]!r} has the same number; keep one of them")
            else:
                found[key] = path
    problems += [f"{masks[key]}: there is no image for this mask" for key in sorted(set(masks) - set(images))]
    drafts = [_draft(key, images[key], masks.get(key)) for key in sorted(images)]
    return Found(layout=NAME, drafts=tuple(drafts), expected=("ct",), scheme="lits", problems=tuple(problems))


def _draft(key: tuple[str, int], image: str, mask: str | None) -> Draft:
    name = f"{key[0]}volume-{key[1]}"
    return Draft(
        name=name,
        patient=name,
        images={"ct": Place(path=image)},
        mask=None if mask is None else Place(path=mask),
        attributes={SPLIT: TEST} if key[0] else {},
    )
