"""BraTS: one folder per case, files named after the case and the sequence.

Up to 2021 `NAME_t1ce.nii.gz` (`_t1`, `_t1ce`, `_t2`, `_flair`, `_seg`; `HGG` and `LGG` folders up to 2019), from 2023
on `NAME-t1c.nii.gz` (`-t1n`, `-t1c`, `-t2w`, `-t2f`, `-seg`), where the name ends in the patient's time point. Cases
may also lie side by side in one folder. How the masks number tissues is decided for the whole set by `_brats_schemes`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from tds_data.datasets._cases_table import with_csv, with_table
from tds_data.datasets._drafts import Draft, Found, Place
from tds_data.datasets._labels_table import LABELS_TABLE, declared_scheme
from tds_data.datasets._patients import patient_of
from tds_data.datasets._tree import Tree, image_stem
from tds_data.vocabulary import MODALITIES, MODALITY_ALIASES

NAME: Final = "brats"
"""What the layout is called."""

MASK: Final = "seg"
"""What the names of masks end with, and the key of the mask among the parts of a case."""

LICENCE_FILE: Final = "LICENCE.txt"
"""File in the root whose text is taken for the data set's licence."""

_MAX_LICENCE: Final = 10_000
_FILE: Final = re.compile(r"(?P<case>.+)[_-](?P<part>[A-Za-z0-9]+)")
_PARTS: Final[Mapping[str, str]] = {**MODALITY_ALIASES, MASK: MASK}
_MASK_WORDS: Final = frozenset({"segm", "segmentation", "gt"})
_GRADES: Final = frozenset({"HGG", "LGG"})


def recognise(tree: Tree) -> bool:
    """Tell whether a folder is in this layout.

    Args:
        tree: What lies in it.
    """
    return any(
        case.lower().startswith("brats") or folder.rpartition("/")[2] == case
        for folder in tree.by_folder
        for case, parts in _cases(tree, folder).items()
        if set(parts) & set(MODALITIES)
    )


def read(tree: Tree) -> Found:
    """Return the cases whose files are named so.

    Args:
        tree: What lies in the folder.
    """
    drafts: list[Draft] = []
    problems: list[str] = []
    for folder in sorted(tree.by_folder):
        cases = _cases(tree, folder)
        for case, parts in cases.items():
            where = f"{folder}/{case}" if folder and not folder.endswith(case) else folder or case
            twice = next((names for names in parts.values() if len(names) > 1), None)
            if twice is not None:
                problems.append(f"{where}: {twice[0]!r} and {twice[1]!r} are the same sequence; keep one of them")
            elif set(parts) == {MASK}:
                problems.append(f"{where}: there is a mask and no image")
            else:
                drafts.append(_draft(tree, folder, case, {part: names[0] for part, names in parts.items()}, cases))
    tables = (LABELS_TABLE,) if LABELS_TABLE in tree.known else ()
    scheme, labels = declared_scheme(tree, tables, problems)
    return Found(
        layout=NAME,
        drafts=with_table(tree, with_csv(tree, drafts, problems), problems),
        expected=tuple(MODALITIES),
        scheme=scheme,
        labels=labels,
        licence=_licence(tree),
        problems=tuple(problems),
    )


def _licence(tree: Tree) -> str | None:
    if LICENCE_FILE not in tree.known:
        return None
    try:
        return (tree.root / LICENCE_FILE).read_text(encoding="utf-8")[:_MAX_LICENCE].strip() or None
    except (OSError, ValueError):
        return None


def _cases(tree: Tree, folder: str) -> dict[str, dict[str, list[str]]]:
    cases: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in tree.images(folder):
        match = _FILE.fullmatch(image_stem(name))
        part = _PARTS.get(match["part"].lower()) if match else None
        if match and part:
            cases[match["case"]][part].append(name)
    return cases


def _draft(tree: Tree, folder: str, case: str, parts: Mapping[str, str], cases: Mapping[str, object]) -> Draft:
    start = f"{folder}/" if folder else ""
    notes: list[str] = []
    mask = parts.get(MASK)
    if len(cases) == 1:
        others = [name for name in tree.images(folder) if name not in parts.values()]
        masks = [name for name in others if _MASK_WORDS & set(re.split(r"[^a-z0-9]+", name.lower()))]
        if mask is None and len(masks) == 1:
            mask = masks[0]
            notes.append(f"the mask is taken from {mask}, which is named otherwise")
        unused = [name for name in others if name != mask]
        if unused:
            notes.append(f"not used: {', '.join(unused[:3])}{', ...' if len(unused) > 3 else ''}")  # noqa: PLR2004
    grade = next((part for part in folder.split("/") if part in _GRADES), None)
    return Draft(
        name=case,
        patient=patient_of(case),
        images={key: Place(path=start + parts[key]) for key in MODALITIES if key in parts},
        mask=None if mask is None else Place(path=start + mask),
        attributes={} if grade is None else {"grade": grade},
        notes=tuple(notes),
    )
