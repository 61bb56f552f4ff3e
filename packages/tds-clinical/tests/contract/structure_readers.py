"""Readers of structure sets that share no code with the writer: each returns the voxels of the source in each region.

The images of the contract hold the number of each voxel, so that a reader returns those numbers.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813  # its customary name
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from rt_utils import RTStructBuilder

Points = NDArray[np.float64]
Picture = NDArray[np.bool_]


def covered_on_the_images_named(path: Path, folder: Path) -> Mapping[int, set[int]]:
    """By the contour's own image, with nothing but the elements of the files and the formula of C.7.6.2.1.1."""
    images = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, folder.iterdir())}
    found: dict[int, set[int]] = {}
    for roi, contours in _contours(path).items():
        odd: dict[str, Picture] = {}
        for contour in contours:
            uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            picture = odd.setdefault(uid, np.zeros((images[uid].Rows, images[uid].Columns), bool))
            picture ^= _inside(_to_pixels(_points(contour), images[uid]), picture.shape)
        found[roi] = {int(number) for uid, picture in odd.items() for number in images[uid].pixel_array[picture]}
    return found


def covered_in_the_itk_volume(path: Path, folder: Path) -> Mapping[int, set[int]]:
    """By the physical space of the volume that ITK reads, without the references to images."""
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    numbers = sitk.GetArrayFromImage(image)
    found: dict[int, set[int]] = {}
    for roi, contours in _contours(path).items():
        odd = np.zeros(numbers.shape, bool)
        for contour in contours:
            indices = np.array([image.TransformPhysicalPointToContinuousIndex(p) for p in _points(contour).tolist()])
            index = round(float(indices[:, 2].mean()))
            assert np.abs(indices[:, 2] - index).max() < 1e-3
            odd[index] ^= _inside(indices[:, :2], odd[index].shape)
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


def _to_pixels(points: Points, image: Dataset) -> Points:
    row_mm, column_mm = map(float, image.PixelSpacing)
    across, down = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
    away = points - np.array(image.ImagePositionPatient, float)
    return np.stack([away @ across / column_mm, away @ down / row_mm], axis=1)


def _inside(points: Points, shape: tuple[int, ...]) -> Picture:
    """Return the pixels (row, column) whose centres a ray leaves the polygon from, edge by edge."""
    y, x = np.indices(shape)
    odd = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return odd
