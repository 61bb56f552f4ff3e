"""Writing the layout of BraTS: with the names and numbers of 2021, or with those of 2023 and later."""

from typing import Final

from tds_data.datasets._cases_table import CASES_TABLE, cases_table
from tds_data.datasets._jobs import Job, Plan
from tds_data.datasets._labels_table import LABELS_TABLE, labels_table
from tds_data.datasets._patients import patient_of
from tds_data.datasets._tree import image_suffix
from tds_data.datasets.layouts.brats import LICENCE_FILE
from tds_data.datasets.manifest import FileEntry, Manifest
from tds_data.datasets.targets._numbering import brats_numbering, renumbering, scheme_of, told
from tds_data.errors import ConversionRefused
from tds_data.vocabulary import MODALITIES

NAME: Final = "brats"
"""What the layout is called."""

_OLD: Final = {"t1": "_t1", "t1ce": "_t1ce", "t2": "_t2", "flair": "_flair", "mask": "_seg"}
_NEW: Final = {"t1": "-t1n", "t1ce": "-t1c", "t2": "-t2w", "flair": "-t2f", "mask": "-seg"}


def plan(manifest: Manifest, wanted: str | None) -> Plan:
    """Return what has to be done.

    Args:
        manifest: The data set.
        wanted: The label scheme that was asked for; `brats-2021` also gives the file names of that year.

    Raises:
        ConversionRefused: If the layout cannot hold all that the data set holds.
    """
    strange = sorted({key for case in manifest.cases for key in case.images} - set(MODALITIES))
    if strange:
        message = (
            f"BraTS has the images {', '.join(MODALITIES)}, and here are {', '.join(strange)}; convert to bids or "
            f"nnunet, or leave them out with --sequences {','.join(MODALITIES)}"
        )
        raise ConversionRefused(message)
    source = scheme_of(manifest)
    scheme = brats_numbering(source, wanted)
    table = renumbering(source, scheme)
    ends = _OLD if scheme.name == "brats-2021" else _NEW
    jobs: list[Job] = []
    for case in manifest.cases:
        start = f"{case.name}/{case.name}"
        for key, file in case.images.items():
            jobs.append(Job(target=f"{start}{ends[key]}{_suffix(file)}", sources=(file,), owner=case.name))
        if case.mask is not None:
            target = f"{start}{ends['mask']}{_suffix(case.mask)}"
            jobs.append(Job(target=target, sources=(case.mask,), owner=case.name, table=table, scheme=source.name))
    patients = {case.name: patient_of(case.name) for case in manifest.cases}
    rest = cases_table(manifest.cases, told=frozenset(), patients=patients)
    texts = {LABELS_TABLE: labels_table(scheme.values)} if source.values else {}
    if manifest.licence:
        texts[LICENCE_FILE] = manifest.licence + "\n"
    if rest is not None:
        texts[CASES_TABLE] = rest
    return Plan(jobs=tuple(jobs), texts=texts, notes=told(source, scheme))


def _suffix(file: FileEntry) -> str:
    suffix = image_suffix(file.path)
    return suffix if file.index is None and suffix == ".nii" else ".nii.gz"
