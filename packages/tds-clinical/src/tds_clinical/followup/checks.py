"""Whether time points can be compared, and what weakens a comparison."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tds_clinical.errors import FollowUpError
from tds_clinical.followup.matching import is_inside
from tds_clinical.followup.options import FollowUpOptions, TimePoint
from tds_data.report import ModelIdentity, QualityFlag, Severity
from tds_data.vocabulary import Modality

_LEAST: Final = 2


class _Entry(NamedTuple):
    """A time point, counted from 1, and the matrix that brings it onto the latest one."""

    number: int
    point: TimePoint
    matrix: NDArray[np.float64]


def check_points(points: Sequence[TimePoint], options: FollowUpOptions) -> None:
    """Refuse time points that cannot be compared.

    Args:
        points: Oldest first.
        options: Whether different models are allowed.

    Raises:
        FollowUpError: If there are fewer than two, their dates are not in order, phantoms stand beside patients, or
            different models made the results.
    """
    if len(points) < _LEAST:
        message = f"a follow-up compares at least two time points; {len(points)} was given"
        raise FollowUpError(message)
    days = [(number, point.when) for number, point in enumerate(points, start=1) if point.when is not None]
    for (first, earlier), (second, later) in pairwise(days):
        if later <= earlier:
            message = (
                f"time point {second} is dated {later} and time point {first} {earlier}; give time points oldest "
                "first, each with its own day"
            )
            raise FollowUpError(message)
    if len({point.report.phantom for point in points}) > 1:
        message = "some time points are phantoms and others are not; compare studies of one kind"
        raise FollowUpError(message)
    models = _models(points)
    if len(models) > 1 and not options.allow_different_models:
        message = (
            f"the results were made by different models ({', '.join(models)}), so that a change may be the model's; "
            "segment all studies with one model, or allow different ones"
        )
        raise FollowUpError(message)


def find_obstacles(points: Sequence[TimePoint], matrices: Sequence[NDArray[np.float64]]) -> tuple[str, ...]:
    """Return why nothing can be evaluated, in sentences; empty if it can.

    Args:
        points: Oldest first.
        matrices: Of each, from its RAS+ millimetres to those of the latest one.
    """
    found = []
    for number, point in enumerate(points, start=1):
        if Modality.T1CE not in point.report.modalities:
            found.append(
                f"Time point {number} has no T1 with contrast agent (T1ce), so enhancing tumour cannot be evaluated."
            )
    entries = [_Entry(*entry) for entry in zip(range(1, len(points) + 1), points, matrices, strict=True)]
    for first, second in [pair for one, two in pairwise(entries) for pair in ((one, two), (two, one))]:
        numbers = _outside(first, second)
        if numbers:
            found.append(
                f"Lesions {', '.join(map(str, numbers))} of time point {first.number} lie where the images of time "
                f"point {second.number} do not reach, so it cannot be said what became of them."
            )
    return tuple(found)


def find_quality(points: Sequence[TimePoint], obstacles: Sequence[str]) -> tuple[QualityFlag, ...]:
    """Return what weakens the comparison.

    Args:
        points: Oldest first.
        obstacles: Why nothing can be evaluated.
    """
    flags = [QualityFlag(code="NOT-EVALUABLE", severity=Severity.WARNING, message=text) for text in obstacles]
    models = _models(points)
    if len(models) > 1:
        flags.append(
            QualityFlag(
                code="DIFFERENT-MODELS",
                severity=Severity.WARNING,
                message="Different models made the results, so that a change may be the model's and not the tumour's.",
                value=", ".join(models),
            )
        )
    for number, point in enumerate(points, start=1):
        flags += [
            QualityFlag(
                code=flag.code,
                severity=flag.severity,
                message=flag.message,
                value=flag.value,
                subject=f"time point {number}" + (f", {flag.subject}" if flag.subject else ""),
            )
            for flag in point.report.quality
            if flag.severity is not Severity.INFO
        ]
    return tuple(flags)


def _outside(here: _Entry, there: _Entry) -> list[int]:
    """Return the lesions of one time point whose middle is not in the image of another."""
    centres = np.array([lesion.centroid_mm for lesion in here.point.report.lesions]).reshape(-1, 3)
    move = np.linalg.inv(there.matrix) @ here.matrix
    inside = is_inside(centres @ move[:3, :3].T + move[:3, 3], there.point.mask)
    return [lesion.number for lesion, is_in in zip(here.point.report.lesions, inside, strict=True) if not is_in]


def _models(points: Sequence[TimePoint]) -> tuple[str, ...]:
    """Return the names and versions of the models, each once; the same name with another hash counts as another."""
    models: dict[str, ModelIdentity] = {point.report.model.sha256: point.report.model for point in points}
    return tuple(f"{model.name} {model.version} ({digest[:8]})" for digest, model in models.items())
