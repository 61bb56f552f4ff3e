"""Readers of structure sets that share no code with the writer: each returns the voxels of the source in each region.

The images of the contract hold the number of each voxel, so that a reader returns those numbers.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from rt_utils import RTStructBuilder

from .readers import read_source_with_simpleitk

Points = NDArray[np.float64]
Picture = NDArray[np.bool_]


def covered_on_the_images_named(path: Path, folder: Path) -> Mapping[int, set[int]]:
    """By the contour's own image and frame, with nothing but elements of the files and the formula of C.7.6.2.1.1."""
    images = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, folder.iterdir())}
    found: dict[int, set[int]] = {}
    for roi, contours in _contours(path).items():
        odd: dict[tuple[str, int], Picture] = {}
        for contour in contours:
            (reference,) = contour.ContourImageSequence
            uid, frame = reference.ReferencedSOPInstanceUID, int(reference.get("ReferencedFrameNumber", 0))
            picture = odd.setdefault((uid, frame), np.zeros((images[uid].Rows, images[uid].Columns), bool))
            picture ^= _inside(_to_pixels(_points(contour), images[uid], frame), picture.shape)
        found[roi] = set()
        for (uid, frame), picture in odd.items():
            pixels = images[uid].pixel_array[frame - 1] if frame else images[uid].pixel_array
            found[roi].update(pixels[picture].tolist())
    return found


def covered_in_the_itk_volume(path: Path, folder: Path) -> Mapping[int, set[int]]:
    """By the place of the volume that ITK reads, without the references to images."""
    numbers, ras_from_voxel = read_source_with_simpleitk(folder)
    voxel_from_ras = np.linalg.inv(ras_from_voxel)
    found: dict[int, set[int]] = {}
    for roi, contours in _contours(path).items():
        odd = np.zeros(numbers.shape, bool)
        for contour in contours:
            voxels = (_points(contour) * (-1, -1, 1)) @ voxel_from_ras[:3, :3].T + voxel_from_ras[:3, 3]
            index = round(float(voxels[:, 2].mean()))
            assert np.abs(voxels[:, 2] - index).max() < 1e-3
            odd[:, :, index] ^= _inside(voxels[:, :2], numbers.shape[1::-1]).T
        found[roi] = set(numbers[odd].tolist())
    return found


def covered_by_rt_utils(path: Path, folder: Path) -> Mapping[int, set[int]]:
    """By rt-utils, which rounds corners to whole pixels and draws the outline into the region."""
    structures = RTStructBuilder.create_from(dicom_series_path=str(folder), rt_struct_path=str(path))
    numbers = np.stack([image.pixel_array for image in structures.series_data], axis=-1)
    names = {int(item.ROINumber): item.ROIName for item in structures.ds.StructureSetROISequence}
    return {roi: set(numbers[structures.get_roi_mask_by_name(name)].tolist()) for roi, name in names.items()}


def _contours(path: Path) -> Mapping[int, list[Dataset]]:
    dataset = pydicom.dcmread(path)
    return {int(item.ReferencedROINumber): list(item.ContourSequence) for item in dataset.ROIContourSequence}


def _points(contour: Dataset) -> Points:
    return np.array(contour.ContourData, float).reshape(-1, 3)


def _to_pixels(points: Points, image: Dataset, frame: int) -> Points:
    row_mm, column_mm = map(float, _element(image, frame, "PixelMeasuresSequence", "PixelSpacing"))
    cosines = _element(image, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    across, down = np.array(cosines, float).reshape(2, 3)
    away = points - np.array(_element(image, frame, "PlanePositionSequence", "ImagePositionPatient"), float)
    return np.stack([away @ across / column_mm, away @ down / row_mm], axis=1)


def _element(image: Dataset, frame: int, group: str, keyword: str) -> list[float]:
    if not frame:
        return list(image[keyword].value)
    own, shared = image.PerFrameFunctionalGroupsSequence[frame - 1], image.SharedFunctionalGroupsSequence[0]
    return list((own if group in own else shared)[group][0][keyword].value)


def _inside(points: Points, shape: tuple[int, ...]) -> Picture:
    """Return the pixels (row, column) whose centres a ray leaves the polygon from, edge by edge."""
    y, x = np.indices(shape)
    odd = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return odd
