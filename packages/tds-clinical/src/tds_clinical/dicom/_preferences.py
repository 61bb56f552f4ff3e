"""Which of several series of one sequence to take: the one that shows the head best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tds_clinical.dicom._acquisition import read_acquisition
from tds_clinical.dicom._model import SeriesFiles
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._tags import texts
from tds_clinical.dicom.volume import grid_of
from tds_clinical.errors import ClinicalError

_CORRECTIONS: Final = frozenset({"NORM", "DIS2D", "DIS3D"})
_LEAST_COVERAGE: Final = 0.8
_MUCH_COARSER: Final = 1.3
_COARSER: Final = 1.1
_AXIAL_COSINE: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidate:
    series: SeriesFiles
    readable: bool
    originality: int
    coverage_mm: float
    longest_edge_mm: float
    shortest_edge_mm: float
    is_3d: bool
    is_axial: bool
    corrections: int
    taken_at_s: float | None


_Kept = Callable[[Sequence[_Candidate]], list[_Candidate]]


def prefer(claims: Sequence[SeriesFiles], *, later: bool) -> tuple[list[SeriesFiles], str]:
    """Return the best of several series, or those that are equally good, and what they are preferred for.

    Args:
        claims: Series of one sequence.
        later: Whether a later series is better than an earlier one that is like it, as after contrast agent.
    """
    if len(claims) < _FEWEST_TO_COMPARE:
        return list(claims), ""
    left = [_candidate(series) for series in claims]
    reasons = []
    for why, keep in (*_CRITERIA, *([_LATER] if later else [])):
        kept = keep(left)
        if len(kept) < len(left):
            reasons.append(why)
        left = kept
    return [candidate.series for candidate in left], ", ".join(reasons)


def _candidate(series: SeriesFiles) -> _Candidate:
    acquisition = read_acquisition(series.header)
    affine, shape = np.eye(4), (1, 1, 1)
    readable = True
    try:
        with quiet_pydicom():
            grid = grid_of(series)
        affine, shape = grid.ras_from_voxel, grid.shape
    except ClinicalError:
        readable = False
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    normal = np.cross(affine[:3, 0] / edges[0], affine[:3, 1] / edges[1])
    return _Candidate(
        series=series,
        readable=readable,
        originality=0 if acquisition.reformatted else 1 if acquisition.derived else 2,
        coverage_mm=float(edges[2] * shape[2]),
        longest_edge_mm=float(edges.max()),
        shortest_edge_mm=float(edges.min()),
        is_3d=acquisition.is_3d,
        is_axial=bool(abs(normal[2]) >= _AXIAL_COSINE),
        corrections=len({kind.upper() for kind in texts(series.header, "ImageType")} & _CORRECTIONS),
        taken_at_s=acquisition.taken_at_s,
    )


def _those(wanted: Callable[[_Candidate], bool]) -> _Kept:
    return lambda candidates: [c for c in candidates if wanted(c)] or list(candidates)


def _most(value: Callable[[_Candidate], float], share: float = 1.0) -> _Kept:
    return lambda candidates: [c for c in candidates if value(c) >= share * max(map(value, candidates))]


def _least(value: Callable[[_Candidate], float], factor: float) -> _Kept:
    return lambda candidates: [c for c in candidates if value(c) <= factor * min(map(value, candidates))]


def _latest(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    times = [c.taken_at_s for c in candidates if c.taken_at_s is not None]
    if len(times) < len(candidates):
        return list(candidates)
    return [c for c in candidates if c.taken_at_s == max(times)]


_FEWEST_TO_COMPARE: Final = 2
_LATER: Final = ("it was taken later", _latest)
_CRITERIA: Final[tuple[tuple[str, _Kept], ...]] = (
    ("it can be read", _those(lambda c: c.readable)),
    ("it is an original rather than computed", _most(lambda c: c.originality)),
    ("it covers more of the head", _most(lambda c: c.coverage_mm, _LEAST_COVERAGE)),
    ("its slices are thinner", _least(lambda c: c.longest_edge_mm, _MUCH_COARSER)),
    ("it was acquired as a slab", _those(lambda c: c.is_3d)),
    ("it is axial", _those(lambda c: c.is_axial)),
    ("its pixels are finer", _least(lambda c: c.shortest_edge_mm, _COARSER)),
    ("it is corrected for distortion or brightness", _most(lambda c: c.corrections)),
)
