"""The geometry contract must fail on every classic mistake, or it would prove nothing."""

from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from tds_clinical.dicom.writing.segmentation import SegmentationKind

from .cases import ContractCase
from .readers import stored_frames
from .test_geometry_contract import check_segmentation

Spoil = Callable[[pydicom.Dataset], None]


def lopsided(*, oblique: bool = False) -> ContractCase:
    """Return a case without any symmetry that could hide a mistake."""
    labels = np.zeros((9, 7, 6), np.uint8)
    labels[1:5, 2:4, 1:4] = 2
    labels[2:4, 3, 2:4] = 3
    labels[2, 3, 2] = 1
    labels[7, 6, 5] = 3
    turn = np.deg2rad(20.0 if oblique else 0.0)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine[:3, :3] *= (-1.1, -0.8, 2.5)
    affine[:3, 3] = (40, 30, -20)
    return ContractCase(labels=labels, ras_from_voxel=affine)


def redraw(change: Callable[[NDArray[np.uint16]], NDArray[np.uint16]]) -> Spoil:
    """Return what replaces the pictures of a segmentation, shape (frame, row, column)."""

    def spoil(dataset: pydicom.Dataset) -> None:
        frames = np.ascontiguousarray(change(stored_frames(dataset)))
        if dataset.SegmentationType == "BINARY":
            pixels = np.packbits((frames > 0).ravel(), bitorder="little").tobytes()
        else:
            pixels = frames.astype(np.uint8).tobytes()
        dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)

    return spoil


def _positions(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [frame.PlanePositionSequence[0] for frame in dataset.PerFrameFunctionalGroupsSequence]


def reverse_slices(dataset: pydicom.Dataset) -> None:
    places = sorted({tuple(item.ImagePositionPatient) for item in _positions(dataset)})
    other = dict(zip(places, reversed(places), strict=True))
    for item in _positions(dataset):
        item.ImagePositionPatient = list(other[tuple(item.ImagePositionPatient)])


def move_half_a_pixel(dataset: pydicom.Dataset) -> None:
    for item in _positions(dataset):
        x, y, z = item.ImagePositionPatient
        item.ImagePositionPatient = [float(x) + 0.4, y, z]


def forget_lps(dataset: pydicom.Dataset) -> None:
    for item in _positions(dataset):
        x, y, z = item.ImagePositionPatient
        item.ImagePositionPatient = [-x, -y, z]


def turn_back_rows(dataset: pydicom.Dataset) -> None:
    item = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    item.ImageOrientationPatient = [*item.ImageOrientationPatient[:3], *(-c for c in item.ImageOrientationPatient[3:])]


def swap_spacings(dataset: pydicom.Dataset) -> None:
    item = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    item.PixelSpacing = list(reversed(item.PixelSpacing))


def shift_references(dataset: pydicom.Dataset) -> None:
    frames = dataset.PerFrameFunctionalGroupsSequence
    images = [frame.DerivationImageSequence for frame in frames]
    for frame, image in zip(frames, [images[-1], *images[:-1]], strict=True):
        frame.DerivationImageSequence = image


def swap_segments(dataset: pydicom.Dataset) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        item = frame.SegmentIdentificationSequence[0]
        item.ReferencedSegmentNumber = {1: 2, 2: 1}.get(item.ReferencedSegmentNumber, item.ReferencedSegmentNumber)


MISTAKES: dict[str, Spoil] = {
    "columns mirrored": redraw(lambda frames: frames[:, :, ::-1]),
    "rows mirrored": redraw(lambda frames: frames[:, ::-1]),
    "shifted by a column": redraw(lambda frames: np.roll(frames, 1, axis=2)),
    "shifted by a row": redraw(lambda frames: np.roll(frames, -1, axis=1)),
    "one voxel too few": redraw(lambda frames: np.where(np.cumsum(frames > 0).reshape(frames.shape) == 1, 0, frames)),
    "slices reversed": reverse_slices,
    "half a pixel off": move_half_a_pixel,
    "RAS taken for LPS": forget_lps,
    "orientation turned": turn_back_rows,
    "spacings swapped": swap_spacings,
    "references shifted": shift_references,
}


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize("kind", SegmentationKind)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_contract_fails_on(mistake: str, kind: SegmentationKind, *, oblique: bool) -> None:
    case = lopsided(oblique=oblique)
    check_segmentation(case, kind)
    with pytest.raises(AssertionError):
        check_segmentation(case, kind, MISTAKES[mistake])


def test_the_contract_fails_on_segments_swapped() -> None:
    with pytest.raises(AssertionError):
        check_segmentation(lopsided(), SegmentationKind.BINARY, swap_segments)
