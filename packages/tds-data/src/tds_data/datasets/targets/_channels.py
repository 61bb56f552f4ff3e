"""Layouts in which every case has the same channels in the same order."""

import json
from collections.abc import Sequence

from tds_data.datasets._dataset_json import CHANNELS
from tds_data.datasets._drafts import SPLIT, TEST
from tds_data.datasets.manifest import CaseEntry, Manifest
from tds_data.errors import ConversionRefused
from tds_data.vocabulary import MODALITIES, Modality

_CALLED = {"t1": "T1w", "t1ce": "t1gd", "t2": "T2w", "flair": "FLAIR", "ct": "CT", "pet": "PET"}
"""The Decathlon's names for channels; nnU-Net chooses its normalisation by the name CT."""


def channel_names(manifest: Manifest, layout: str, usual: Sequence[Modality] = MODALITIES) -> dict[str, str]:
    """Return what each channel is called, in order: as the data set itself says, if it does.

    Args:
        manifest: The data set.
        layout: The target's name, for errors.
        usual: The order of MR sequences where the data set has none.

    Raises:
        ConversionRefused: If the cases do not have the same images.
    """
    sets = [frozenset(case.images) for case in manifest.cases]
    everywhere, anywhere = frozenset.intersection(*sets), frozenset.union(*sets)
    if everywhere != anywhere:
        lacking = next(case.name for case in manifest.cases if set(case.images) != anywhere)
        way = f"keep the images that all cases have (--sequences {','.join(_ordered(everywhere, usual))}), or " * bool(
            everywhere
        )
        message = (
            f"{layout} needs the same images in every case, and case {lacking!r} lacks some of "
            f"{', '.join(_ordered(anywhere, usual))}; {way}convert to brats or bids, which can do without"
        )
        raise ConversionRefused(message)
    own = _own_names(manifest)
    order = [key for key in own if key in anywhere] if set(own) >= anywhere else _ordered(anywhere, usual)
    return {key: own.get(key) or _CALLED.get(key, key) for key in order}


def divided(manifest: Manifest) -> tuple[list[CaseEntry], list[CaseEntry], tuple[str, ...]]:
    """Return the cases for training and those for testing, and a note on those that are moved to the latter.

    Args:
        manifest: The data set.
    """
    training = [c for c in manifest.cases if c.attributes.get(SPLIT) != TEST and c.mask is not None]
    names = {case.name for case in training}
    testing = [c for c in manifest.cases if c.name not in names]
    moved = [case.name for case in testing if case.attributes.get(SPLIT) != TEST]
    note = f"{len(moved)} cases without a mask are put with the test cases, {moved[0]!r} among them" if moved else ""
    return training, testing, (note,) if note else ()


def _ordered(keys: frozenset[str], usual: Sequence[Modality]) -> list[str]:
    return [str(key) for key in usual if key in keys] + sorted(keys - {str(key) for key in usual})


def _own_names(manifest: Manifest) -> dict[str, str]:
    text = manifest.attributes.get(CHANNELS)
    try:
        names = json.loads(text) if text else {}
    except ValueError:
        names = {}
    return {str(key): str(name) for key, name in names.items()} if isinstance(names, dict) else {}
