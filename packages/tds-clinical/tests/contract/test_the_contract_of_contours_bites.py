"""The geometry contract of structure sets must fail on every classic mistake, or it would prove nothing."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing.contours import HoleStyle
from tds_clinical.errors import ResultsDisagree

from .cases import ContractCase
from .test_structure_set_contract import check_structure_set

Points = NDArray[np.float64]
Spoil = Callable[[Dataset], None]


def lopsided() -> ContractCase:
    """Return a case without any symmetry that could hide a mistake, with a hole and oblique slices."""
    labels = np.zeros((9, 7, 6), np.uint8)
    labels[1:5, 1:5, 1:4] = 2
    labels[2:4, 3, 2:4] = 3
    labels[7, 6, 5] = 3
    turn = np.deg2rad(20.0)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine[:3, :3] *= (-1.1, -0.8, 2.5)
    affine[:3, 3] = (40, 30, -20)
    return ContractCase(labels=labels, ras_from_voxel=affine)


def redraw(change: Callable[[Points], Points]) -> Spoil:
    """Return what moves the corners of each contour, LPS millimetres, shape (n, 3)."""

    def spoil(dataset: Dataset) -> None:
        for contour in contours(dataset):
            points = change(np.array(contour.ContourData, float).reshape(-1, 3))
            contour.ContourData = [f"{value:.5f}" for value in points.ravel()]

    return spoil


def contours(dataset: Dataset) -> list[Dataset]:
    return [contour for roi in dataset.ROIContourSequence for contour in roi.ContourSequence]


def shift_references(dataset: Dataset) -> None:
    images = [contour.ContourImageSequence for contour in contours(dataset)]
    for contour, image in zip(contours(dataset), [images[-1], *images[:-1]], strict=True):
        contour.ContourImageSequence = image


def swap_regions(dataset: Dataset) -> None:
    first, second = dataset.ROIContourSequence[:2]
    first.ReferencedROINumber, second.ReferencedROINumber = second.ReferencedROINumber, first.ReferencedROINumber


def forget_holes(dataset: Dataset) -> None:
    for roi in dataset.ROIContourSequence:
        roi.ContourSequence = [c for c in roi.ContourSequence if c.ContourGeometricType == "CLOSED_PLANAR"]


def lose_a_contour(dataset: Dataset) -> None:
    del dataset.ROIContourSequence[0].ContourSequence[-1]


def cut_a_corner(dataset: Dataset) -> None:
    contour = contours(dataset)[0]
    contour.ContourData = contour.ContourData[3:]


MISTAKES: dict[str, Spoil] = {
    "RAS for LPS": redraw(lambda points: points * (-1, -1, 1)),
    "mirrored": redraw(lambda points: points * (-1, 1, 1)),
    "upside down": redraw(lambda points: points * (1, 1, -1)),
    "one slice off": redraw(lambda points: np.add(points, (0, 0, 2.5))),
    "half a slice off": redraw(lambda points: np.add(points, (0, 0, 1.25))),
    "a pixel off": redraw(lambda points: np.add(points, (1.1, 0, 0))),
    "half a pixel off": redraw(lambda points: np.add(points, (0.6, 0, 0))),
    "twice as large": redraw(lambda points: points.mean(axis=0) + 2 * (points - points.mean(axis=0)) * (1, 1, 0)),
    "without holes": forget_holes,
    "without a contour": lose_a_contour,
    "without a corner": cut_a_corner,
    "other images": shift_references,
    "other regions": swap_regions,
}


def test_the_case_itself_is_right() -> None:
    for holes in HoleStyle:
        check_structure_set(lopsided(), holes)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    holes = HoleStyle.XOR if mistake == "without holes" else HoleStyle.KEYHOLE
    with pytest.raises((AssertionError, ResultsDisagree)):
        check_structure_set(lopsided(), holes, MISTAKES[mistake])
