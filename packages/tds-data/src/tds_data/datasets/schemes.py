"""Label schemes: which number stands for which tissue, and what that is in the words of BraTS 2023.

Tissues have one name here whatever a data set calls them: NCR (necrotic and non-enhancing core, NETC), ED (oedema,
SNFH), ET (enhancing tumour), RC (resection cavity), CC (cystic component), GTVp and GTVn (primary tumour and lymph
nodes), liver and tumour. Other names are kept as they are.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import LabelError, UnknownScheme
from tds_data.vocabulary import Label
from tds_data.volume import Volume, VoxelArray

CUSTOM_SCHEME: Final = "custom"
"""Scheme of a data set that numbers its labels in a way of its own, which its manifest holds."""

NO_SCHEME: Final = "none"
"""Scheme of a data set without masks."""

IGNORED: Final = "ignore"
"""nnU-Net's label for voxels that nobody judged; it is no tissue."""

_MAX_SHOWN: Final = 5

BRATS_LABELS: Final[Mapping[str, Label]] = MappingProxyType({"NCR": Label.NCR, "ED": Label.ED, "ET": Label.ET})
"""Tissues that BraTS 2023 has a label for."""

_ALIASES: Final = {
    "NCR": "ncr|netc|net|nc|ncr net|necrosis|necrotic core|non enhancing tumor|non enhancing tumour|"
    "non enhancing tumor core|nonenhancing tumor|necrotic tumor core|necrotic and non enhancing tumor core",
    "ED": "ed|snfh|edema|oedema|peritumoral edema|flair hyperintensity|surrounding non enhancing flair hyperintensity",
    "ET": "et|enhancing|enhancing tumor|enhancing tumour|enhancing tissue|gd enhancing tumor",
    "RC": "rc|resection cavity|cavity",
    "CC": "cc|cystic component",
    "GTVp": "gtvp|gtv p|primary tumor|primary tumour",
    "GTVn": "gtvn|gtv n|lymph nodes|nodal tumor",
    "liver": "liver",
    "tumour": "tumour|tumor|cancer|lesion",
}
_REGIONS: Final = {"wt": "WT", "whole tumor": "WT", "whole tumour": "WT", "tc": "TC", "tumor core": "TC"} | {
    "tumour core": "TC",
    "et": "ET",
    "enhancing tumor": "ET",
    "enhancing tumour": "ET",
}
_TISSUES: Final = {alias: tissue for tissue, aliases in _ALIASES.items() for alias in aliases.split("|")}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScheme:
    """How masks number tissues; 0 is the background.

    Attributes:
        name: What a manifest calls it.
        values: The number of each tissue.

    Raises:
        LabelError: If two tissues share a number, or one has the background's.
    """

    name: str
    values: Mapping[str, int]

    def __post_init__(self) -> None:
        numbers = list(self.values.values())
        if len(set(numbers)) < len(numbers) or 0 in numbers:
            message = f"each tissue has a number of its own, not 0; this scheme has {dict(self.values)}"
            raise LabelError(message)
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    @property
    def tissues(self) -> Mapping[int, str]:
        """The tissue of each number."""
        return {number: tissue for tissue, number in self.values.items()}


_SCHEMES: Final = {
    name: LabelScheme(name=name, values=values)
    for name, values in {
        "brats-2021": {"NCR": 1, "ED": 2, "ET": 4},
        "brats-2023": {"NCR": 1, "ED": 2, "ET": 3},
        "brats-2024": {"NCR": 1, "ED": 2, "ET": 3, "RC": 4},
        "brats-ped-2024": {"ET": 1, "NCR": 2, "CC": 3, "ED": 4},
        "decathlon-brain": {"ED": 1, "NCR": 2, "ET": 3},
        "hecktor": {"GTVp": 1, "GTVn": 2},
        "lits": {"liver": 1, "tumour": 2},
        NO_SCHEME: {},
    }.items()
}

SCHEME_NAMES: Final = tuple(_SCHEMES)
"""Every scheme that is known by its name."""


def find_scheme(name: str, labels: Mapping[str, tuple[int, ...]] | None = None) -> LabelScheme:
    """Return the scheme that a manifest names.

    Args:
        name: One of `SCHEME_NAMES`, or `custom`.
        labels: The numbers of each label, for `custom`; a label with several is a region.

    Raises:
        UnknownScheme: If there is none of that name.
    """
    if name == CUSTOM_SCHEME:
        return LabelScheme(name=name, values=tissues_of(labels or {}))
    if name not in _SCHEMES:
        message = f"there is no label scheme {name[:80]!r}; choose one of {', '.join(SCHEME_NAMES)}"
        raise UnknownScheme(message)
    return _SCHEMES[name]


def scheme_of_values(values: Mapping[str, int]) -> LabelScheme:
    """Return the scheme known by name that numbers tissues so, or a `custom` one.

    Args:
        values: The number of each tissue, in the names of this module.
    """
    known = (scheme for scheme in _SCHEMES.values() if dict(scheme.values) == dict(values))
    return next(known, LabelScheme(name=CUSTOM_SCHEME, values=values))


def tissue_named(label: str) -> str:
    """Return this module's name for a tissue, or the label as it is.

    Args:
        label: What a data set calls it.

    Examples:
        >>> tissue_named("non-enhancing tumor")
        'NCR'
    """
    return _TISSUES.get(" ".join(re.split(r"[^a-z0-9]+", label.lower())).strip(), label)


def tissues_of(labels: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the number of each tissue: of labels with one number, and what nested regions leave over.

    Args:
        labels: The numbers of each label.

    Examples:
        >>> tissues_of({"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": (3,)})
        {'ET': 3, 'ED': 1, 'NCR': 2}
    """
    values = {tissue_named(name): numbers[0] for name, numbers in labels.items() if len(numbers) == 1}
    regions = {
        _REGIONS[name.lower().replace("_", " ")]: set(numbers)
        for name, numbers in labels.items()
        if name.lower().replace("_", " ") in _REGIONS
    }
    for number in sorted({number for numbers in labels.values() for number in numbers} - set(values.values())):
        if number in regions.get("WT", ()) and number not in regions.get("TC", {number}):
            tissue = "ED"
        elif number in regions.get("TC", ()) and number not in regions.get("ET", {number}):
            tissue = "NCR"
        else:
            tissue = f"label {number}"
        values[tissue if tissue not in values else f"label {number}"] = number
    return values


def to_brats(mask: Volume, scheme: LabelScheme, *, others: Mapping[str, int] | None = None) -> Volume:
    """Return a mask with the labels of BraTS 2023 as uint8: 1 NCR, 2 ED, 3 ET.

    Args:
        mask: Whole numbers of any type.
        scheme: How the mask numbers tissues.
        others: The label, 0 to 3, that each tissue without one in BraTS 2023 becomes, such as `{"RC": 0}`.

    Raises:
        LabelError: If a voxel is no whole number or outside the scheme, or a tissue present has no label and `others`
            does not say what it becomes.
    """
    chosen = others or {}
    targets = {tissue: int(BRATS_LABELS.get(tissue, -1)) for tissue in scheme.values}
    targets |= {tissue: number for tissue, number in chosen.items() if targets.get(tissue) == -1}
    if not set(chosen.values()) <= set(Label):
        message = f"the labels of BraTS 2023 are 0 to 3; {dict(chosen)} was given"
        raise LabelError(message)
    numbers = whole_numbers(mask.voxels)
    homeless = [t for t, v in scheme.values.items() if targets[t] == -1 and (numbers == v).any()]
    if homeless:
        message = (
            f"the mask holds {', '.join(homeless)}, which has no label in BraTS 2023; "
            f"say what it becomes, such as others={{{homeless[0]!r}: 0}} for background"
        )
        raise LabelError(message)
    table = {value: max(targets[tissue], 0) for tissue, value in scheme.values.items()}
    return mask.with_voxels(renumber(numbers, table, scheme.name).astype(np.uint8))


def renumber(numbers: VoxelArray, table: Mapping[int, int], scheme: str) -> VoxelArray:
    """Return labels with other numbers, in the same type or a wider one that they need; 0 stays 0.

    Args:
        numbers: Whole numbers.
        table: The new number of each old one.
        scheme: What the old numbering is called, for messages.

    Raises:
        LabelError: If a voxel's number is not in the table.
    """
    present = [int(value) for value in np.unique(numbers)]
    strange = [value for value in present if value != 0 and value not in table]
    if strange:
        shown = ", ".join(map(str, strange[:_MAX_SHOWN]))
        message = (
            f"the mask holds labels outside the scheme {scheme} ({shown}), which has "
            f"{', '.join(map(str, sorted(table)))}; index the data set again with the scheme that it has"
        )
        raise LabelError(message)
    changed = {value: table[value] for value in present if value != 0 and table[value] != value}
    if changed:
        logger.info("labels_translated scheme=%s changes=%s", scheme, changed)
    widest = max(changed.values(), default=0)
    result = numbers.astype(np.promote_types(numbers.dtype, np.min_scalar_type(widest)))
    for old, new in changed.items():
        result[numbers == old] = new
    return result


def whole_numbers(voxels: VoxelArray) -> NDArray[np.int64] | VoxelArray:
    """Return labels as whole numbers: integers as they are, floats as int64.

    Args:
        voxels: A mask's voxels.

    Raises:
        LabelError: If a voxel is no whole number.
    """
    if voxels.dtype.kind != "f":
        return voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    if not (np.isfinite(voxels).all() and np.array_equal(voxels, np.rint(voxels))):
        message = "the mask holds values that are no whole numbers; export the labels themselves, not probabilities"
        raise LabelError(message)
    return voxels.astype(np.int64)
