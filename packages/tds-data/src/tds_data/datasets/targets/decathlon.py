"""Writing the layout of the Medical Segmentation Decathlon."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from tds_data.channels import TASK01_CHANNELS
from tds_data.datasets._cases_table import CASES_TABLE, cases_table
from tds_data.datasets._dataset_json import DATASET_JSON
from tds_data.datasets._drafts import SPLIT, TEST
from tds_data.datasets._jobs import Job, Plan
from tds_data.datasets._patients import patient_of
from tds_data.datasets.manifest import Manifest
from tds_data.datasets.schemes import BRATS_LABELS, LabelScheme, find_scheme
from tds_data.datasets.targets._channels import channel_names, divided
from tds_data.datasets.targets._numbering import named_scheme, renumbering, scheme_of, told
from tds_data.errors import ConversionRefused

NAME: Final = "decathlon"
"""What the layout is called."""

_TASK01_LABELS: Final = {"ED": "edema", "NCR": "non-enhancing tumor", "ET": "enhancing tumour"}


def plan(manifest: Manifest, wanted: str | None) -> Plan:
    """Return what has to be done.

    Args:
        manifest: The data set.
        wanted: The label scheme that was asked for.

    Raises:
        ConversionRefused: If the layout cannot hold all that the data set holds.
    """
    _refuse_losses(manifest)
    source = scheme_of(manifest)
    scheme = _numbering(source, wanted)
    channels = channel_names(manifest, NAME, TASK01_CHANNELS)
    if set(channels) <= set(TASK01_CHANNELS):  # programs for Task01 take its order for granted
        channels = {key: channels[key] for key in TASK01_CHANNELS if key in channels}
    training, testing, notes = divided(manifest)
    table = renumbering(source, scheme)
    jobs: list[Job] = []
    for case, folder in [(c, "imagesTr") for c in training] + [(c, "imagesTs") for c in testing]:
        images = tuple(case.images[key] for key in channels)
        jobs.append(Job(target=f"{folder}/{case.name}.nii.gz", sources=images, owner=case.name))
        if case.mask is not None:
            label = f"labelsTr/{case.name}.nii.gz"
            jobs.append(Job(target=label, sources=(case.mask,), owner=case.name, table=table, scheme=source.name))
    texts = {DATASET_JSON: json.dumps(_description(manifest, channels, scheme), indent=1, ensure_ascii=False) + "\n"}
    patients = {case.name: patient_of(case.name) for case in manifest.cases}
    rest = cases_table(manifest.cases, told=frozenset({SPLIT}), patients=patients)
    if rest is not None:
        texts[CASES_TABLE] = rest
    return Plan(jobs=tuple(jobs), texts=texts, notes=(*notes, *told(source, scheme)))


def _refuse_losses(manifest: Manifest) -> None:
    patients = Counter(case.patient for case in manifest.cases)
    several = [patient for patient, count in patients.items() if count > 1]
    if several:
        message = (
            f"the Decathlon has one case for each patient, and {len(several)} patients here have several time points; "
            "convert to bids, which has sessions, or to brats or nnunet"
        )
        raise ConversionRefused(message)
    masked = [c.name for c in manifest.cases if c.attributes.get(SPLIT) == TEST and c.mask is not None]
    if masked:
        message = (
            f"the Decathlon has no masks for test cases, and {len(masked)} test cases have one, {masked[0]!r} among "
            "them; convert to nnunet, which has labelsTs"
        )
        raise ConversionRefused(message)


def _numbering(source: LabelScheme, wanted: str | None) -> LabelScheme:
    if wanted is not None:
        return named_scheme(wanted, source)
    is_brain = bool(source.values) and set(source.values) <= set(BRATS_LABELS)
    return find_scheme("decathlon-brain") if is_brain else source


def _description(manifest: Manifest, channels: Mapping[str, str], scheme: LabelScheme) -> dict[str, Any]:
    training, testing, _ = divided(manifest)
    called = _TASK01_LABELS if scheme.name == "decathlon-brain" else {}
    labels = {str(number): called.get(tissue, tissue) for number, tissue in sorted(scheme.tissues.items())}
    return {
        "name": manifest.attributes.get("name", ""),
        "description": manifest.attributes.get("description", ""),
        "reference": manifest.attributes.get("reference", ""),
        "licence": manifest.licence or "",
        "release": manifest.attributes.get("release", ""),
        "tensorImageSize": "4D" if len(channels) > 1 else "3D",
        "modality": {str(number): name for number, name in enumerate(channels.values())},
        "labels": {"0": "background", **labels},
        "numTraining": len(training),
        "numTest": len(testing),
        "training": [
            {"image": f"./imagesTr/{case.name}.nii.gz", "label": f"./labelsTr/{case.name}.nii.gz"} for case in training
        ],
        "test": [f"./imagesTs/{case.name}.nii.gz" for case in testing],
    }
