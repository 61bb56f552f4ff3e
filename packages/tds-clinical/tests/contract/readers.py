"""Readers of results that share no code with the writers: each returns where it finds the voxels of each segment."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813  # its customary name
from numpy.typing import NDArray

from tds_clinical.dicom.reading_back import read_segment_numbers

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Points = NDArray[np.float64]
"""Places, shape (n, 3), RAS+ millimetres."""


def read_with_tds(path: Path) -> Mapping[int, Points]:
    """By the package's own reader."""
    numbers, _ = read_segment_numbers(path)
    return _points(numbers.voxels, numbers.ras_from_voxel)


def read_with_highdicom(path: Path) -> Mapping[int, Points]:
    """By highdicom, as one volume."""
    segmentation = hd.seg.segread(path)
    volume = segmentation.get_volume(combine_segments=True)
    return _points(volume.array, RAS_FROM_LPS @ volume.affine)


def read_with_pydicom(path: Path) -> Mapping[int, Points]:
    """Frame by frame, with nothing but the elements of the file and the formula of PS3.3, section C.7.6.2.1.1."""
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    found: dict[int, list[Points]] = {}
    for frame, numbers in zip(dataset.PerFrameFunctionalGroupsSequence, stored_frames(dataset), strict=True):
        corner = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        for number in np.unique(numbers[numbers > 0]).tolist():
            rows, columns = np.nonzero(numbers == number)
            across, down = np.outer(columns * column_mm, cosines[:3]), np.outer(rows * row_mm, cosines[3:])
            found.setdefault(number, []).append((corner + across + down) * (-1, -1, 1))
    return {number: np.concatenate(points) for number, points in found.items()}


def read_with_dcmqi(path: Path) -> Mapping[int, Points]:
    """By dcmqi's segimage2itkimage, whose files are then read by SimpleITK."""
    program = Path(sys.executable).with_name("segimage2itkimage")
    out = path.with_suffix(".dcmqi")
    out.mkdir()
    command = [program, "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd"]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # a fixed program
    found: dict[int, Points] = {}
    for file in out.glob("*.nrrd"):
        image = sitk.ReadImage(str(file))
        found.update(_points(sitk.GetArrayFromImage(image).transpose(2, 1, 0), _affine(image)))
    return found


def stored_frames(dataset: pydicom.Dataset) -> NDArray[np.uint16]:
    """Return the frames as numbers of segments, shape (frame, row, column), from the bytes of the file."""
    frames, rows, columns = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    if dataset.SegmentationType == "BINARY":
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
        shown = bits[: frames * rows * columns].reshape(frames, rows, columns)
        items = dataset.PerFrameFunctionalGroupsSequence
        segments = [item.SegmentIdentificationSequence[0].ReferencedSegmentNumber for item in items]
        return np.asarray(shown * np.array(segments, np.uint16)[:, None, None])
    stored = np.frombuffer(dataset.PixelData, np.uint8 if dataset.BitsAllocated == 8 else "<u2")
    return stored[: frames * rows * columns].reshape(frames, rows, columns).astype(np.uint16)


def voxels_of_source(path: Path, folder: Path) -> Mapping[int, set[int]]:
    """Return the pixel values that each segment covers on the very images that its frames refer to."""
    sources = {}
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        sources[image.SOPInstanceUID] = image.pixel_array
    dataset = pydicom.dcmread(path)
    found: dict[int, set[int]] = {}
    for frame, numbers in zip(dataset.PerFrameFunctionalGroupsSequence, stored_frames(dataset), strict=True):
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        pixels = sources[image.ReferencedSOPInstanceUID]
        if "ReferencedFrameNumber" in image:
            pixels = pixels[image.ReferencedFrameNumber - 1]
        for number in np.unique(numbers[numbers > 0]).tolist():
            found.setdefault(number, set()).update(pixels[numbers == number].tolist())
    return found


def read_source_with_simpleitk(folder: Path) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Return the source's voxels (x, y, z) and their affine to RAS+ by ITK's reader of series."""
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(files)
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0), _affine(image)


def _affine(image: sitk.Image) -> NDArray[np.float64]:
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return np.asarray(RAS_FROM_LPS @ lps)


def _points(numbers: NDArray[np.generic], ras_from_index: NDArray[np.float64]) -> dict[int, Points]:
    return {
        int(n): np.argwhere(numbers == n) @ ras_from_index[:3, :3].T + ras_from_index[:3, 3]
        for n in np.unique(numbers)
        if n
    }
