"""BIDS: `sub-01/[ses-1/]anat/sub-01_T1w.nii.gz`, tables of participants and sessions, masks in `derivatives`.

Gorgolewski et al. 2016 (doi 10.1038/sdata.2016.44). Masks end in `_dseg`; their table (`*_dseg.tsv`, columns `index`
and `name` or `abbreviation`) tells which number is which tissue. T1 with contrast agent is `ce-gadolinium_T1w`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from tds_data.datasets._cases_table import read_table
from tds_data.datasets._dataset_json import licence_of, read_description
from tds_data.datasets._drafts import SESSION, Draft, Found, Place
from tds_data.datasets._labels_table import declared_scheme
from tds_data.datasets._tree import Tree, image_stem
from tds_data.errors import DatasetError, StudyError
from tds_data.sequence_names import modality_of
from tds_data.vocabulary import MODALITIES

NAME: Final = "bids"
"""What the layout is called."""

DESCRIPTION: Final = "dataset_description.json"
"""Name of the description, in the root."""

ORIGINAL_NAME: Final = "original_name"
"""Column in which this package keeps a case's name where BIDS cannot hold it."""

ORIGINAL_PATIENT: Final = "original_patient"
"""Column in which this package keeps a patient's name where BIDS cannot hold it."""

PHANTOM: Final = "phantom"
"""Column that is `true` for synthetic cases."""

_SUBJECT: Final = re.compile(r"sub-(?P<subject>[A-Za-z0-9]+)")
_WHERE: Final = re.compile(
    r"(?P<start>(?:derivatives/[^/]+/)?)sub-(?P<subject>[A-Za-z0-9]+)/(?:ses-(?P<session>[A-Za-z0-9]+)/)?"
    r"(?P<kind>anat|ct|pet)/(?P<file>[^/]+)"
)
_KEPT: Final = {"Name": "name", "HowToAcknowledge": "reference"}


def recognise(tree: Tree) -> bool:
    """Tell whether a folder is in this layout.

    Args:
        tree: What lies in it.
    """
    return any(_WHERE.fullmatch(path) for path in tree.files)


def read(tree: Tree) -> Found:
    """Return a case for each session of each subject.

    Args:
        tree: What lies in the folder.

    Raises:
        DatasetError: If `dataset_description.json` is no JSON, or tables of labels contradict each other.
    """
    description: Mapping[str, Any] = read_description(tree.root / DESCRIPTION) if DESCRIPTION in tree.known else {}
    problems: list[str] = []
    images, masks = _files(tree)
    people = (
        {row.get("participant_id", ""): row for row in read_table(tree, "participants.tsv", "\t", problems)}
        if ("participants.tsv" in tree.known)
        else {}
    )
    drafts = []
    for key in sorted(images, key=lambda k: (k[0], k[1] or "")):
        try:
            attributes = {**people.get(f"sub-{key[0]}", {}), **_session_row(tree, key, problems)}
            drafts.append(_draft(tree, key, images[key], masks.get(key, []), attributes))
        except (DatasetError, StudyError) as error:
            problems.append(f"{_name(key)}: {error}")
    tables = tuple(path for path in tree.files if path.endswith("dseg.tsv"))
    scheme, labels = declared_scheme(tree, tables, problems)
    kept = {ours: str(description[theirs]) for theirs, ours in _KEPT.items() if description.get(theirs)}
    return Found(
        layout=NAME,
        drafts=tuple(drafts),
        expected=_expected(drafts),
        scheme=scheme,
        labels=labels,
        licence=licence_of(description),
        attributes=kept,
        problems=tuple(problems),
    )


_Key = tuple[str, str | None]


def _files(tree: Tree) -> tuple[dict[_Key, list[str]], dict[_Key, list[str]]]:
    images: dict[_Key, list[str]] = defaultdict(list)
    masks: dict[_Key, list[str]] = defaultdict(list)
    for path in tree.files:
        match = _WHERE.fullmatch(path)
        suffix = "" if match is None else image_stem(match["file"]).rpartition("_")[2]
        if match is None or image_stem(path) == path:
            continue
        key = (match["subject"], match["session"])
        if suffix == "dseg":
            masks[key].append(path)
        elif not match["start"] and _image_key(tree, path, suffix) is not None:
            images[key].append(path)
    return images, masks


def _image_key(tree: Tree, path: str, suffix: str) -> str | None:
    if suffix in {"ct", "pet"}:
        return suffix
    try:
        return modality_of(tree.root / path)
    except StudyError:
        return "ambiguous"  # told when the case is put together


def _draft(tree: Tree, key: _Key, paths: list[str], masks: list[str], attributes: Mapping[str, str]) -> Draft:
    images: dict[str, Place] = {}
    for path in paths:
        suffix = image_stem(path).rpartition("_")[2]
        sequence = suffix if suffix in {"ct", "pet"} else modality_of(tree.root / path)
        if sequence in images:
            message = f"{images[sequence].path!r} and {path!r} are the same sequence; keep one of them"
            raise DatasetError(message)
        images[str(sequence)] = Place(path=path)
    if len(masks) > 1:
        message = f"{masks[0]!r} and {masks[1]!r} are both masks; keep one of them"
        raise DatasetError(message)
    order = (*MODALITIES, *sorted(set(images) - set(MODALITIES)))
    own = {"participant_id", "session_id", ORIGINAL_NAME, ORIGINAL_PATIENT, PHANTOM}
    told = {name: value for name, value in attributes.items() if name not in own}
    session = {} if key[1] is None else {SESSION: key[1]}
    return Draft(
        name=attributes.get(ORIGINAL_NAME, _name(key)),
        patient=attributes.get(ORIGINAL_PATIENT, f"sub-{key[0]}"),
        images={name: images[name] for name in order if name in images},
        mask=Place(path=masks[0]) if masks else None,
        attributes={**session, **told},
        phantom=attributes.get(PHANTOM, "").lower() == "true",
    )


def _session_row(tree: Tree, key: _Key, problems: list[str]) -> dict[str, str]:
    table = f"sub-{key[0]}/sub-{key[0]}_sessions.tsv"
    if key[1] is None or table not in tree.known:
        return {}
    rows = read_table(tree, table, "\t", problems)
    return next((row for row in rows if row.get("session_id") == f"ses-{key[1]}"), {})


def _name(key: _Key) -> str:
    return f"sub-{key[0]}" if key[1] is None else f"sub-{key[0]}_ses-{key[1]}"


def _expected(drafts: list[Draft]) -> tuple[str, ...]:
    present = {key for draft in drafts for key in draft.images}
    return tuple(MODALITIES) if present & set(MODALITIES) else tuple(sorted(present))
