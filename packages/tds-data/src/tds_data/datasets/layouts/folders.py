"""Plain folders: one per case, files named after their sequences in any of the usual ways."""

from typing import Final

from tds_data.datasets._cases_table import with_csv, with_table
from tds_data.datasets._drafts import Draft, Found, Place
from tds_data.datasets._patients import patient_of
from tds_data.datasets._tree import Tree
from tds_data.errors import DatasetError, StudyError
from tds_data.sequence_names import is_reference, modality_of
from tds_data.vocabulary import MODALITIES

NAME: Final = "folders"
"""What the layout is called."""


def recognise(tree: Tree) -> bool:
    """Tell whether a folder is in this layout: a file in it is named after a sequence.

    Args:
        tree: What lies in it.
    """
    return any(_sequence(tree, folder, name) for folder in tree.by_folder for name in tree.images(folder))


def read(tree: Tree) -> Found:
    """Return one case for each folder that holds a sequence.

    Args:
        tree: What lies in the folder.
    """
    drafts: list[Draft] = []
    problems: list[str] = []
    for folder in sorted(tree.by_folder):
        try:
            draft = _draft(tree, folder)
        except (DatasetError, StudyError) as error:
            problems.append(f"{folder or '.'}: {error}")
            continue
        if draft is not None:
            drafts.append(draft)
    return Found(
        layout=NAME,
        drafts=with_table(tree, with_csv(tree, drafts, problems), problems),
        expected=tuple(MODALITIES),
        problems=tuple(problems),
    )


def _draft(tree: Tree, folder: str) -> Draft | None:
    images: dict[str, str] = {}
    masks: list[str] = []
    unused: list[str] = []
    for name in tree.images(folder):
        path = tree.root / folder / name
        modality = modality_of(path)
        if modality is not None and modality in images:
            message = f"{images[modality]!r} and {name!r} both look like {modality}; keep one of them"
            raise DatasetError(message)
        if modality is not None:
            images[modality] = name
        elif is_reference(path):
            masks.append(name)
        else:
            unused.append(name)
    if not images:
        return None
    if len(masks) > 1:
        message = f"{masks[0]!r} and {masks[1]!r} both look like the mask; keep one of them"
        raise DatasetError(message)
    start = f"{folder}/" if folder else ""
    case = folder.replace("/", "_") or tree.root.resolve().name
    return Draft(
        name=case,
        patient=patient_of(case),
        images={key: Place(path=start + images[key]) for key in MODALITIES if key in images},
        mask=Place(path=start + masks[0]) if masks else None,
        notes=(f"not used: {', '.join(unused[:3])}{', ...' if len(unused) > 3 else ''}",) if unused else (),  # noqa: PLR2004
    )


def _sequence(tree: Tree, folder: str, name: str) -> bool:
    try:
        return modality_of(tree.root / folder / name) is not None
    except StudyError:
        return True
