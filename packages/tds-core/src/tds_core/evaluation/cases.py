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
from tds_data.task import BRAIN_TUMOUR, Task
from tds_data.vocabulary import Modality
from tds_data.volume import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        case: Label of the case.
        modalities: Sequences, or channels of another task, that the prediction was made from; none of a mask alone.
        dice: Dice of each region, in [0, 1].
        hd95_mm: 95th percentile Hausdorff distance of each region, millimetres.
        regions: Every score of each region.
        calibrated: Whether probabilities were judged, too.
    """

    case: str
    modalities: tuple[str, ...]
    dice: Mapping[str, float]
    hd95_mm: Mapping[str, float]
    regions: Mapping[str, RegionScores] = field(default_factory=dict)
    calibrated: bool = False


def evaluate_case(segmentation: Segmentation) -> CaseScores:
    """Return the scores of a segmentation against the reference mask of its case.

    Args:
        segmentation: What `segment` returned for a case with a reference mask. If it holds probabilities, they are
            judged, too.

    Raises:
        EvaluationError: If the case has no reference mask.
    """
    case = segmentation.case
    if case.reference is None:
        message = f"case {case.name!r} has no reference mask; add one named *_seg.nii.gz to its folder"
        raise EvaluationError(message)
    return score_labels(
        segmentation.mask.voxels,
        case.reference,
        BRAIN_TUMOUR,
        case=case.name,
        modalities=case.modalities,
        probabilities=segmentation.probabilities,
    )


def score_labels(  # two masks, what they are of, and how sure the one is
    found: NDArray[np.generic],
    reference: Volume,
    task: Task,
    *,
    case: str,
    modalities: Sequence[str] = (),
    probabilities: Mapping[str, NDArray[np.floating]] | None = None,
) -> CaseScores:
    """Return the scores of a label map against a reference, whatever the task.

    Args:
        found: The task's labels, of shape (x, y, z), on the reference's grid.
        reference: The task's labels.
        task: Says which labels make which region.
        case: What to call both.
        modalities: Sequences or channels that the label map was made from.
        probabilities: Of each region, on the same grid, to be judged, too.

    Raises:
        EvaluationError: If the two do not have one shape.
    """
    scores = score_masks(found, reference.voxels, reference.spacing_mm, task.regions, probabilities=probabilities)
    return CaseScores(
        case=case,
        modalities=tuple(modalities),
        dice={region: row.dice for region, row in scores.items()},
        hd95_mm={region: row.hd95_mm for region, row in scores.items()},
        regions=scores,
        calibrated=probabilities is not None,
    )


def as_scored(case: str, scores: CaseScores, *, phantom: bool) -> ScoredCase:
    """Return a case's scores as numbers to sum up. The calibration error is there only where probabilities were.

    Args:
        case: Its name.
        scores: Its scores.
        phantom: Whether the case is synthetic.
    """
    names = [name for name in METRICS if name != CALIBRATION]
    values: dict[str, dict[str, float | None]] = {
        region: {name: float(getattr(row, name)) for name in names} for region, row in scores.regions.items()
    }
    if scores.calibrated:  # a region that is in neither mask has none
        for region, row in scores.regions.items():
            values[region][CALIBRATION] = None if row.calibration is None else row.calibration.expected_error
    return ScoredCase(case=case, phantom=phantom, values=values)


def mean_dice(scores: Sequence[CaseScores]) -> dict[str, float]:
    """Return the mean Dice of each region.

    Args:
        scores: At least one case's scores, all patients' or all phantoms', of one task.

    Raises:
        EvaluationError: If there are none.
    """
    if not scores:
        message = "there is nothing to average: no case was evaluated"
        raise EvaluationError(message)
    return {region: fmean(s.dice[region] for s in scores) for region in scores[0].dice}


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
