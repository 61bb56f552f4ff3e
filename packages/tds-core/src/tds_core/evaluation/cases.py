"""Scores of predictions against reference masks, case by case."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from tds_core.errors import EvaluationError
from tds_core.inference import Segmentation
from tds_core.metrics import region_dice, region_hd95_mm
from tds_data.case import Case
from tds_data.formats.names import is_image_name
from tds_data.vocabulary import REGIONS, Modality, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        case: Label of the case.
        modalities: Sequences that the prediction was made from.
        dice: Dice of each region, in [0, 1].
        hd95_mm: 95th percentile Hausdorff distance of each region, millimetres.
    """

    case: str
    modalities: tuple[Modality, ...]
    dice: dict[Region, float]
    hd95_mm: dict[Region, float]


def evaluate_case(segmentation: Segmentation) -> CaseScores:
    """Return the scores of a segmentation against the reference mask of its case.

    Args:
        segmentation: What `segment` returned for a case with a reference mask.

    Raises:
        EvaluationError: If the case has no reference mask.
    """
    case = segmentation.case
    if case.reference is None:
        message = f"case {case.name!r} has no reference mask; add one named *_seg.nii.gz to its folder"
        raise EvaluationError(message)
    found, truth = segmentation.mask.voxels, case.reference.voxels
    return CaseScores(
        case=case.name,
        modalities=case.modalities,
        dice=region_dice(found, truth),
        hd95_mm=region_hd95_mm(found, truth, case.grid.spacing_mm),
    )


def mean_dice(scores: Sequence[CaseScores]) -> dict[Region, float]:
    """Return the mean Dice of each region.

    Args:
        scores: At least one case's scores.

    Raises:
        EvaluationError: If there are none.
    """
    if not scores:
        message = "there is nothing to average: no case was evaluated"
        raise EvaluationError(message)
    return {r: fmean(s.dice[r] for s in scores) for r in REGIONS}


def sequence_subsets(modalities: Sequence[Modality]) -> Iterator[tuple[Modality, ...]]:
    """Return all non-empty subsets of the sequences, largest first.

    Args:
        modalities: The sequences.
    """
    for size in range(len(modalities), 0, -1):
        yield from itertools.combinations(modalities, size)


def with_sequences(case: Case, modalities: Sequence[Modality]) -> Case:
    """Return a case with some of its sequences only.

    Args:
        case: The case.
        modalities: Which to keep.

    Raises:
        EvaluationError: If the case lacks one of them.
    """
    absent = [m for m in modalities if m not in case.images]
    if absent:
        message = f"case {case.name!r} has no {', '.join(absent)}"
        raise EvaluationError(message)
    return replace(case, images={m: case.images[m] for m in modalities})


def case_folders(root: Path, names: Sequence[str] = ()) -> list[Path]:
    """Return the folders of the patients below a root.

    Args:
        root: Folder with one sub-folder per patient, or one patient's own folder.
        names: Only these sub-folders; all if empty.

    Raises:
        EvaluationError: If one is missing or there is none.
    """
    if names:
        folders = [root / name for name in names]
        absent = [f.name for f in folders if not f.is_dir()]
        if absent:
            message = f"no folder {', '.join(absent)} in {root.name!r}"
            raise EvaluationError(message)
        return folders
    if not root.is_dir():
        message = f"{str(root)!r} is not a folder"
        raise EvaluationError(message)
    if any(is_image_name(p) for p in root.iterdir()) or (root / "anat").is_dir():
        return [root]
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return folders or [root]
