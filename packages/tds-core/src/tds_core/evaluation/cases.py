"""Scores of predictions against reference masks, case by case."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from tds_core.errors import EvaluationError
from tds_core.evaluation.catalogue import CALIBRATION, METRICS
from tds_core.evaluation.summary import ScoredCase
from tds_core.inference import Segmentation
from tds_core.metrics import RegionScores, score_masks
from tds_data.case import Case
from tds_data.formats.names import is_image_name
from tds_data.task import BRAIN_TUMOUR
from tds_data.vocabulary import REGIONS, Modality, Region
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        case: Label of the case.
        modalities: Sequences that the prediction was made from.
        dice: Dice of each region, in [0, 1].
        hd95_mm: 95th percentile Hausdorff distance of each region, millimetres.
        regions: Every score of each region.
    """

    case: str
    modalities: tuple[Modality, ...]
    dice: dict[Region, float]
    hd95_mm: dict[Region, float]
    regions: Mapping[str, RegionScores] = field(default_factory=dict)


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
    return score_labels(case, segmentation.mask.voxels, case.reference)


def score_labels(case: Case, found: NDArray[np.generic], reference: Volume) -> CaseScores:
    """Return the scores of a label map against a reference.

    Args:
        case: What both are of.
        found: Labels 0 to 3 of shape (x, y, z), on the reference's grid.
        reference: Labels 0 to 3.

    Raises:
        EvaluationError: If the two do not have one shape.
    """
    scores = score_masks(found, reference.voxels, reference.spacing_mm, BRAIN_TUMOUR.regions)
    return CaseScores(
        case=case.name,
        modalities=case.modalities,
        dice={r: scores[r].dice for r in REGIONS},
        hd95_mm={r: scores[r].hd95_mm for r in REGIONS},
        regions=scores,
    )


def as_scored(case: str, regions: Mapping[str, RegionScores], *, phantom: bool) -> ScoredCase:
    """Return a case's scores as numbers to sum up. The calibration error is there only where probabilities were.

    Args:
        case: Its name.
        regions: What `score_masks` returned.
        phantom: Whether the case is synthetic.
    """
    return ScoredCase(
        case=case,
        phantom=phantom,
        values={
            region: {name: float(getattr(scores, name)) for name in METRICS if name != CALIBRATION}
            | ({} if scores.calibration is None else {CALIBRATION: scores.calibration.expected_error})
            for region, scores in regions.items()
        },
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
