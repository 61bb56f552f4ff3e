"""Writing nnU-Net's raw data sets, version 2."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from tds_data.datasets._cases_table import CASES_TABLE, cases_table
from tds_data.datasets._dataset_json import DATASET_JSON, REGIONS_ORDER
from tds_data.datasets._drafts import SPLIT
from tds_data.datasets._jobs import NIFTI, Job, Plan
from tds_data.datasets._patients import patient_of
from tds_data.datasets._tree import image_suffix
from tds_data.datasets.manifest import Manifest
from tds_data.datasets.schemes import IGNORED, LabelScheme
from tds_data.datasets.targets._channels import channel_names, divided
from tds_data.datasets.targets._numbering import consecutive, named_scheme, renumbering, scheme_of, told
from tds_data.errors import ConversionRefused

NAME: Final = "nnunet"
"""What the layout is called."""

_KEPT: Final = ("name", "description", "reference", "release")


def plan(manifest: Manifest, wanted: str | None) -> Plan:
    """Return what has to be done.

    Args:
        manifest: The data set.
        wanted: The label scheme that was asked for.

    Raises:
        ConversionRefused: If the layout cannot hold all that the data set holds.
    """
    source = scheme_of(manifest)
    scheme = _numbering(source, wanted)
    table = renumbering(source, scheme)
    channels = channel_names(manifest, NAME)
    training, testing, notes = divided(manifest)
    suffix = _suffix(manifest, recoded=table is not None)
    jobs: list[Job] = []
    for case, part in [(c, "Tr") for c in training] + [(c, "Ts") for c in testing]:
        for number, key in enumerate(channels):
            target = f"images{part}/{case.name}_{number:04d}{suffix}"
            jobs.append(Job(target=target, sources=(case.images[key],), owner=case.name))
        if case.mask is not None:
            target = f"labels{part}/{case.name}{suffix}"
            jobs.append(Job(target=target, sources=(case.mask,), owner=case.name, table=table, scheme=source.name))
    document = _description(manifest, channels, _moved(source, scheme), suffix)
    texts = {DATASET_JSON: json.dumps(document, indent=1, ensure_ascii=False) + "\n"}
    patients = {case.name: patient_of(case.name) for case in manifest.cases}
    rest = cases_table(manifest.cases, told=frozenset({SPLIT}), patients=patients)
    if rest is not None:
        texts[CASES_TABLE] = rest
    return Plan(jobs=tuple(jobs), texts=texts, notes=(*notes, *_patient_note(manifest), *told(source, scheme)))


def _patient_note(manifest: Manifest) -> tuple[str, ...]:
    counts = Counter(case.patient for case in manifest.cases)
    several = sum(count > 1 for count in counts.values())
    note = f"nnU-Net divides cases, not patients, and {several} patients have several cases: give it folds by patient"
    return (note,) if several else ()


def _numbering(source: LabelScheme, wanted: str | None) -> LabelScheme:
    if wanted is None:
        return consecutive(source)
    scheme = named_scheme(wanted, source)
    if consecutive(scheme) is not scheme:
        message = (
            f"nnU-Net counts labels up from 1 without gaps, and the scheme {scheme.name} has "
            f"{', '.join(map(str, sorted(scheme.tissues)))}; leave the scheme out, or choose brats-2023"
        )
        raise ConversionRefused(message)
    return scheme


def _moved(source: LabelScheme, scheme: LabelScheme) -> dict[int, int]:
    """Return the new number of each old one that has one."""
    return {number: scheme.values[tissue] for tissue, number in source.values.items() if tissue in scheme.values}


def _labels(manifest: Manifest, source: LabelScheme, new: Mapping[int, int]) -> dict[str, int | list[int]]:
    """Return the labels of `dataset.json`: the data set's own, regions too, under their new numbers."""
    own = manifest.labels or {tissue: (number,) for tissue, number in source.values.items()}
    moved = {name: [new[number] for number in numbers if number in new] for name, numbers in own.items()}
    if not any(len(numbers) > 1 for numbers in moved.values()):
        moved = dict(sorted(moved.items(), key=lambda item: item[1]))
    return {name: numbers[0] if len(numbers) == 1 else numbers for name, numbers in moved.items() if numbers}


def _description(
    manifest: Manifest, channels: Mapping[str, str], new: Mapping[int, int], suffix: str
) -> dict[str, Any]:
    labels = _labels(manifest, scheme_of(manifest), new)
    document: dict[str, Any] = {
        "channel_names": {str(number): name for number, name in enumerate(channels.values())},
        "labels": {"background": 0, **labels},
        "numTraining": len(divided(manifest)[0]),
        "file_ending": suffix,
    }
    if any(isinstance(numbers, list) for numbers in labels.values()):
        document[REGIONS_ORDER] = _regions_order(manifest, labels, new)
    kept = {key: manifest.attributes[key] for key in _KEPT if manifest.attributes.get(key)}
    return {**document, **kept, **({"licence": manifest.licence} if manifest.licence else {})}


def _regions_order(manifest: Manifest, labels: Mapping[str, int | list[int]], new: Mapping[int, int]) -> list[int]:
    """Return the number that each region leaves where the regions after it are not: the data set's own choice, or one.

    Where it does not choose, this is a number of the region that none of the later ones has.
    """
    counted = (numbers for name, numbers in labels.items() if name != IGNORED)
    regions = [numbers if isinstance(numbers, list) else [numbers] for numbers in counted]
    try:
        own = json.loads(manifest.attributes.get(REGIONS_ORDER, "[]"))
        order = [new[number] for number in own]
    except (ValueError, KeyError, TypeError):
        order = []
    if len(order) == len(regions):
        return order
    later = [{n for following in regions[i + 1 :] for n in following} for i in range(len(regions))]
    return [
        next((n for n in numbers if n not in rest), numbers[0]) for numbers, rest in zip(regions, later, strict=True)
    ]


def _suffix(manifest: Manifest, *, recoded: bool) -> str:
    """Return the suffix of all files: the source's own if it has one only, and files can be copied."""
    found = {image_suffix(file.path) for case in manifest.cases for file in case.files}
    stacked = any(file.index is not None for case in manifest.cases for file in case.files)
    if len(found) == 1 and not stacked and (not recoded or found <= NIFTI):
        return found.pop()
    return ".nii.gz"
