"""Writing BIDS: subjects and sessions, tables for what is known of them, masks as a derivative."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from tds_data.datasets._cases_table import table_text
from tds_data.datasets._drafts import SESSION
from tds_data.datasets._jobs import NIFTI, Job, Plan
from tds_data.datasets._labels_table import labels_table
from tds_data.datasets._tree import image_suffix
from tds_data.datasets.layouts.bids import DESCRIPTION, ORIGINAL_NAME, ORIGINAL_PATIENT, PHANTOM
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.targets._numbering import named_scheme, renumbering, scheme_of, told
from tds_data.errors import ConversionRefused

NAME: Final = "bids"
"""What the layout is called."""

_ENDS: Final = {
    "t1": ("anat", "T1w"),
    "t1ce": ("anat", "ce-gadolinium_T1w"),
    "t2": ("anat", "T2w"),
    "flair": ("anat", "FLAIR"),
    "ct": ("ct", "ct"),
    "pet": ("pet", "pet"),
}
_VERSION: Final = "1.9.0"
_MADE: Final = {"BIDSVersion": _VERSION, "GeneratedBy": [{"Name": "tds-data"}]}
_MASKS: Final = "derivatives/masks"
_RESERVED: Final = frozenset({"participant_id", "session_id", ORIGINAL_NAME, ORIGINAL_PATIENT, PHANTOM})


def plan(manifest: Manifest, wanted: str | None) -> Plan:
    """Return what has to be done.

    Args:
        manifest: The data set.
        wanted: The label scheme that was asked for.

    Raises:
        ConversionRefused: If the layout cannot hold all that the data set holds.
    """
    strange = sorted({key for case in manifest.cases for key in case.images} - set(_ENDS))
    if strange:
        message = (
            f"there is no name in BIDS for {', '.join(strange)}; leave them out with --sequences, or convert to nnunet"
        )
        raise ConversionRefused(message)
    source = scheme_of(manifest)
    scheme = source if wanted is None else named_scheme(wanted, source)
    table = renumbering(source, scheme)
    subjects = _subjects(manifest.cases)
    jobs: list[Job] = []
    sessions = _sessions(manifest.cases, subjects)
    for case in manifest.cases:
        subject, session = sessions[case.name]
        folder = f"sub-{subject}" if session is None else f"sub-{subject}/ses-{session}"
        start = folder.replace("/", "_")
        for key, file in case.images.items():
            kind, end = _ENDS[key]
            target = f"{folder}/{kind}/{start}_{end}{_suffix(file)}"
            jobs.append(Job(target=target, sources=(file,), owner=case.name))
        if case.mask is not None:
            target = f"{_MASKS}/{folder}/anat/{start}_dseg{_suffix(case.mask)}"
            jobs.append(Job(target=target, sources=(case.mask,), owner=case.name, table=table, scheme=source.name))
    texts = _texts(manifest, subjects)
    if source.values:
        texts[f"{_MASKS}/dseg.tsv"] = labels_table(scheme.values)
        texts[f"{_MASKS}/{DESCRIPTION}"] = _json({**_MADE, "Name": "masks", "DatasetType": "derivative"})
    return Plan(jobs=tuple(jobs), texts=texts, notes=(*told(source, scheme), *_region_note(manifest)))


def _subjects(cases: Sequence[CaseEntry]) -> dict[str, str]:
    """Return a label of letters and digits for each patient, different ones for different patients."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for patient in sorted({case.patient for case in cases}):
        plain = re.sub(r"[^A-Za-z0-9]", "", patient.removeprefix("sub-")) or "x"
        label, number = plain, 2
        while label.lower() in taken:  # folders of some systems know no case
            label, number = f"{plain}x{number}", number + 1
        taken.add(label.lower())
        labels[patient] = label
    return labels


def _sessions(cases: Sequence[CaseEntry], subjects: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
    """Return subject and session of each case: the session that is known, or a number where a patient has several."""
    by_patient: dict[str, list[CaseEntry]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case)
    found: dict[str, tuple[str, str | None]] = {}
    for patient, own in by_patient.items():
        known = [case.attributes.get(SESSION, "") for case in own]
        usable = all(re.fullmatch(r"[A-Za-z0-9]+", text) for text in known) and len(set(known)) == len(known)
        for number, case in enumerate(own, 1):
            session = case.attributes[SESSION] if usable else f"{number:02d}" if len(own) > 1 else None
            found[case.name] = (subjects[patient], session)
    return found


def _texts(manifest: Manifest, subjects: Mapping[str, str]) -> dict[str, str]:
    sessions = _sessions(manifest.cases, subjects)
    by_patient: dict[str, list[CaseEntry]] = defaultdict(list)
    for case in manifest.cases:
        by_patient[case.patient].append(case)
    people: list[dict[str, str]] = []
    texts = {DESCRIPTION: _json(_description(manifest)), "README": _readme(manifest)}
    for patient, cases in by_patient.items():
        subject = subjects[patient]
        rows = [_row(case, *sessions[case.name]) for case in cases]
        shared = {k: v for k, v in rows[0].items() if all(row.get(k) == v for row in rows)}
        if sessions[cases[0].name][1] is not None:
            own = [{k: v for k, v in row.items() if k not in shared} for row in rows]
            heads = sorted({key for row in own for key in row})
            lines = [
                {"session_id": f"ses-{sessions[case.name][1]}", **row} for case, row in zip(cases, own, strict=True)
            ]
            if heads:
                texts[f"sub-{subject}/sub-{subject}_sessions.tsv"] = table_text(("session_id", *heads), lines)
        original = {} if patient == f"sub-{subject}" else {ORIGINAL_PATIENT: patient}
        people.append({"participant_id": f"sub-{subject}", **original, **shared})
    heads = sorted({key for row in people for key in row} - {"participant_id"})
    texts["participants.tsv"] = table_text(("participant_id", *heads), people)
    if any("ct" in case.images for case in manifest.cases):
        texts[".bidsignore"] = "**/ct/\n"
    return texts


def _row(case: CaseEntry, subject: str, session: str | None) -> dict[str, str]:
    reserved = sorted(set(case.attributes) & _RESERVED)
    if reserved:
        message = f"an attribute cannot be called {reserved[0]!r}, which is a column of its own; rename it"
        raise ConversionRefused(message)
    told_by_folder = session is not None and case.attributes.get(SESSION) == session
    row = {key: value for key, value in case.attributes.items() if not (key == SESSION and told_by_folder)}
    read_as = f"sub-{subject}" if session is None else f"sub-{subject}_ses-{session}"
    return {
        **row,
        **({} if case.name == read_as else {ORIGINAL_NAME: case.name}),
        **({PHANTOM: "true"} if case.phantom else {}),
    }


def _description(manifest: Manifest) -> dict[str, object]:
    name = manifest.attributes.get("name") or manifest.root.resolve().name or "data set"
    document: dict[str, object] = {"Name": name, "DatasetType": "raw", **_MADE}
    if manifest.licence:
        document["License"] = manifest.licence
    if manifest.attributes.get("reference"):
        document["HowToAcknowledge"] = manifest.attributes["reference"]
    return document


def _readme(manifest: Manifest) -> str:
    told_so = manifest.attributes.get("description", "")
    return f"{told_so}\n\nConverted from the layout {manifest.layout} by tds-data. Research use only.\n".lstrip()


def _region_note(manifest: Manifest) -> tuple[str, ...]:
    regions = [name for name, numbers in manifest.labels.items() if len(numbers) > 1]
    return (f"nested regions have no place in BIDS and stay behind: {', '.join(regions)}",) if regions else ()


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _suffix(file: FileEntry) -> str:
    suffix = image_suffix(file.path)
    return suffix if file.index is None and suffix in NIFTI else ".nii.gz"
