"""A phantom's whole head as a scanner would deliver it: each sequence on a grid of its own, taken as the head moved."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tds_clinical.testing.classic_series import ClassicSeriesOptions, write_classic_series
from tds_data.case import Case
from tds_data.raw.resampling import resample_labels, resample_to
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How one sequence is taken.

    Attributes:
        axes: RAS directions in which columns, rows and slices are counted.
        spacing_mm: Distance between columns, rows and slices, millimetres.
        tilt_deg: Turn of the grid about x, y, z, degrees: an oblique acquisition.
        turn_deg: Turn of the head about x, y, z against the T1ce, degrees.
        shift_mm: Shift of the head, RAS+ millimetres.
    """

    axes: tuple[Triple, Triple, Triple]
    spacing_mm: Triple
    tilt_deg: Triple = (0.0, 0.0, 0.0)
    turn_deg: Triple = (0.0, 0.0, 0.0)
    shift_mm: Triple = (0.0, 0.0, 0.0)


_AXIAL: Final = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
_SAGITTAL: Final = ((0.0, -1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
_CORONAL: Final = ((-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))

RAW_ACQUISITIONS: Final[Mapping[Modality, Acquisition]] = MappingProxyType(
    {
        Modality.T1CE: Acquisition(axes=_SAGITTAL, spacing_mm=(1.0, 1.0, 1.0)),
        Modality.T1: Acquisition(
            axes=_AXIAL, spacing_mm=(0.9, 0.9, 4.0), turn_deg=(1.1, -0.6, 1.1), shift_mm=(1.0, -1.0, 1.0)
        ),
        Modality.T2: Acquisition(
            axes=_CORONAL, spacing_mm=(0.8, 0.8, 3.0), turn_deg=(-1.1, 1.1, 1.7), shift_mm=(-2.0, 1.0, 1.0)
        ),
        Modality.FLAIR: Acquisition(
            axes=_AXIAL,
            spacing_mm=(0.9, 0.9, 3.0),
            tilt_deg=(3.0, 11.0, -6.0),
            turn_deg=(1.7, 0.6, -1.1),
            shift_mm=(1.0, 2.0, -2.0),
        ),
    }
)
"""Sagittal T1ce, axial T1, coronal T2 and oblique FLAIR."""


def write_raw_study(
    head: Case,
    folder: Path,
    *,
    seed: int = 0,
    acquisitions: Mapping[Modality, Acquisition] | None = None,
) -> Volume | None:
    """Write the sequences of a head as DICOM series, each on its own grid, and return the truth on that of the first.

    Args:
        head: A whole head on one grid, with a reference mask or without.
        folder: Where to write one folder for each series; made if absent.
        seed: Makes all identifiers and the shuffling.
        acquisitions: How each sequence is taken, those that the head has; the truth lies on the first one's voxels.
            `RAW_ACQUISITIONS` if `None`.

    Returns:
        Labels 0 to 3, or `None` if the head has no reference.

    Raises:
        DicomWriteError: If a file cannot be written.
    """
    truth = None
    taken = {modality: how for modality, how in (acquisitions or RAW_ACQUISITIONS).items() if modality in head.images}
    for number, (modality, how) in enumerate(taken.items(), start=1):
        grid = _grid(head.grid, how)
        image = resample_to(head.images[modality], grid, _move(how))
        options = ClassicSeriesOptions(modality=modality, series_number=number, seed=seed)
        write_classic_series(image.with_voxels(np.maximum(image.voxels, 0)), folder / f"series{number:03d}", options)
        if number == 1 and head.reference is not None:
            truth = resample_labels(head.reference, grid, _move(how))
    return truth


def _grid(head: Volume, how: Acquisition) -> Volume:
    """Return an empty grid around the middle of the head that holds all of it."""
    turn = Rotation.from_euler("xyz", how.tilt_deg, degrees=True).as_matrix()
    directions = turn @ np.array(how.axes).T
    extent_mm = np.array(head.shape) * head.spacing_mm
    shape = np.ceil(np.abs(directions.T) @ extent_mm / how.spacing_mm).astype(int)
    middle = head.ras_from_voxel[:3, :3] @ ((np.array(head.shape) - 1) / 2) + head.ras_from_voxel[:3, 3]
    affine = np.eye(4)
    affine[:3, :3] = directions * how.spacing_mm
    affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
    return Volume(np.broadcast_to(np.uint8(0), tuple(shape.tolist())), affine)


def _move(how: Acquisition) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", how.turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = how.shift_mm
    return matrix
