"""Volumes written as classic single-frame MR series (MR Image Storage, PS3.3, section A.4).

The files hold everything that the object definition asks for, so that validators accept them. All identifiers are
made up from a seed: the same call writes the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from tds_clinical.dicom._decimal import decimal
from tds_clinical.errors import DicomWriteError, GeometryNotSupported
from tds_data.case import Case
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

TagValue = str | float | list[str]
"""What a test may put into a header element."""

_LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0])
_ORTHOGONAL: Final = 1e-6
_UINT16: Final = (0, 65535)
_INT16: Final = (-32768, 32767)

SEQUENCE_TAGS: Final[Mapping[Modality, Mapping[str, TagValue]]] = MappingProxyType(
    {
        Modality.T1: {
            "SeriesDescription": "AX T1 MPRAGE PRE",
            "ScanningSequence": ["GR", "IR"],
            "SequenceVariant": ["SP", "MP"],
            "MRAcquisitionType": "3D",
            "RepetitionTime": 1900,
            "EchoTime": 2.5,
            "InversionTime": 900,
        },
        Modality.T1CE: {
            "SeriesDescription": "AX T1 MPRAGE POST GAD",
            "ScanningSequence": ["GR", "IR"],
            "SequenceVariant": ["SP", "MP"],
            "MRAcquisitionType": "3D",
            "RepetitionTime": 1900,
            "EchoTime": 2.5,
            "InversionTime": 900,
            "ContrastBolusAgent": "Gadolinium chelate",
        },
        Modality.T2: {
            "SeriesDescription": "AX T2 TSE",
            "ScanningSequence": "SE",
            "SequenceVariant": "SK",
            "MRAcquisitionType": "2D",
            "RepetitionTime": 5000,
            "EchoTime": 100,
        },
        Modality.FLAIR: {
            "SeriesDescription": "AX T2 FLAIR",
            "ScanningSequence": ["SE", "IR"],
            "SequenceVariant": "SK",
            "MRAcquisitionType": "2D",
            "RepetitionTime": 9000,
            "EchoTime": 120,
            "InversionTime": 2500,
        },
    }
)
"""Header elements that a scanner would write for each sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicSeriesOptions:
    """How a series is written.

    Attributes:
        modality: Which sequence the header describes.
        series_number: Series Number.
        seed: Makes all identifiers and the shuffling; series with one seed belong to one study of one patient.
        signed: Whether pixels are stored as int16 rather than uint16.
        rescale: Slope and intercept from stored to real values; by default 1 and 0 for integers that fit and
            otherwise whatever spreads the values over the stored range.
        reverse_slices: Whether Instance Number rises against the volume's third axis.
        shuffle: Whether file names are in no spatial order.
        tags: Header elements to set on top, by keyword; `None` removes one.
    """

    modality: Modality = Modality.T1
    series_number: int = 1
    seed: int = 0
    signed: bool = False
    rescale: tuple[float, float] | None = None
    reverse_slices: bool = False
    shuffle: bool = True
    tags: Mapping[str, TagValue | None] = field(default_factory=dict)


def write_classic_series(volume: Volume, folder: Path, options: ClassicSeriesOptions) -> tuple[Path, ...]:
    """Return the files of a classic MR series, one for each slice along the volume's third axis.

    Args:
        volume: Voxels of shape (columns, rows, slices), any orientation, oblique and mirrored ones too.
        folder: Where to write; made if absent.
        options: How to write.

    Raises:
        GeometryNotSupported: If the volume's axes are not at right angles.
        DicomWriteError: If a file cannot be written.
    """
    stored, slope, intercept = _stored(volume, options)
    shared = _shared_header(volume, options)
    shared.RescaleSlope = decimal(slope)
    shared.RescaleIntercept = decimal(intercept)
    shared.RescaleType = "US"
    count = volume.shape[2]
    order = np.random.default_rng(options.seed).permutation(count) if options.shuffle else np.arange(count)
    paths = []
    for k in range(count):
        path = folder / f"IM{int(order[k]) + 1:05d}.dcm"
        image = _slice(shared, volume, options, k)
        image.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        save(image, path)
        paths.append(path)
    return tuple(paths)


def write_classic_study(case: Case, folder: Path, *, seed: int = 0, signed: bool = False) -> tuple[Path, ...]:
    """Return the files of one study with a series for each sequence of a case.

    Args:
        case: Any sequences.
        folder: Where to write one folder for each series; made if absent.
        seed: Makes all identifiers and the shuffling.
        signed: Whether pixels are stored as int16 rather than uint16.

    Raises:
        GeometryNotSupported: If the volumes' axes are not at right angles.
        DicomWriteError: If a file cannot be written.
    """
    options = ClassicSeriesOptions(seed=seed, signed=signed)
    paths: list[Path] = []
    for series_number, (modality, volume) in enumerate(case.images.items(), start=1):
        series = replace(options, modality=modality, series_number=series_number)
        paths += write_classic_series(volume, folder / f"series{series_number:03d}", series)
    return tuple(paths)


def _stored(volume: Volume, options: ClassicSeriesOptions) -> tuple[NDArray[np.generic], float, float]:
    low, high = _INT16 if options.signed else _UINT16
    voxels = volume.voxels
    least, most = float(voxels.min()), float(voxels.max())
    if options.rescale is not None:
        slope, intercept = options.rescale
    elif np.issubdtype(voxels.dtype, np.integer) and low <= least and most <= high:
        slope, intercept = 1.0, 0.0
    else:
        slope = float(decimal((most - least) / (high - low) or 1.0))
        intercept = float(decimal(least - low * slope))
    stored = np.clip(np.rint((voxels.astype(np.float64) - intercept) / slope), low, high)
    return stored.astype("<i2" if options.signed else "<u2"), slope, intercept


def _shared_header(volume: Volume, options: ClassicSeriesOptions) -> Dataset:
    header = Dataset()
    values: dict[str, TagValue | int | None] = {
        **PATIENT_AND_STUDY,
        "StudyInstanceUID": made_up_uid(options, "study"),
        "SeriesInstanceUID": made_up_uid(options, "series", options.series_number),
        "FrameOfReferenceUID": made_up_uid(options, "frame of reference"),
        "SeriesNumber": options.series_number,
        "AcquisitionNumber": options.series_number,
        **plane_geometry(volume, options),
        "PixelRepresentation": int(options.signed),
        **SEQUENCE_TAGS[options.modality],
        **options.tags,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(header, keyword, value)
    return header


PATIENT_AND_STUDY: Final[Mapping[str, TagValue | int]] = MappingProxyType(
    {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "SOPClassUID": MRImageStorage,
        "StudyDate": "20000101",
        "SeriesDate": "20000101",
        "AcquisitionDate": "20000101",
        "ContentDate": "20000101",
        "StudyTime": "120000",
        "SeriesTime": "120000",
        "AcquisitionTime": "120000",
        "ContentTime": "120000",
        "AccessionNumber": "",
        "Modality": "MR",
        "Manufacturer": "Phantom maker",
        "QualityControlImage": "YES",
        "ReferringPhysicianName": "",
        "PatientName": "Phantom^Made up",
        "PatientID": "PHANTOM",
        "PatientBirthDate": "",
        "PatientSex": "O",
        "BodyPartExamined": "HEAD",
        "ScanOptions": "",
        "MagneticFieldStrength": 3,
        "EchoTrainLength": 1,
        "PatientPosition": "HFS",
        "StudyID": "1",
        "PositionReferenceIndicator": "",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
    }
)


def slice_position(volume: Volume, k: int) -> list[str]:
    """Return Image Position (Patient) of a slice.

    Args:
        volume: The volume.
        k: Index along its third axis.
    """
    place = _LPS_FROM_RAS @ (volume.ras_from_voxel @ (0, 0, k, 1))[:3]
    return [decimal(c) for c in place]


def plane_geometry(volume: Volume, options: ClassicSeriesOptions) -> dict[str, TagValue | int]:
    """Return the elements that say how the slices of a volume lie, but for their positions.

    Args:
        volume: The volume.
        options: Its series, for messages.

    Raises:
        GeometryNotSupported: If the volume's axes are not at right angles.
    """
    directions = volume.ras_from_voxel[:3, :3] / volume.spacing_mm
    if not np.allclose(directions.T @ directions, np.eye(3), atol=_ORTHOGONAL):
        reason = "the volume's axes are not at right angles; a classic series cannot hold it"
        label = f"series {options.series_number}"
        raise GeometryNotSupported(label, reason)
    column_spacing, row_spacing, slice_spacing = volume.spacing_mm
    cosines = (_LPS_FROM_RAS @ directions[:, :2]).T.ravel()
    return {
        "Rows": volume.shape[1],
        "Columns": volume.shape[0],
        "PixelSpacing": [decimal(row_spacing), decimal(column_spacing)],
        "SliceThickness": decimal(slice_spacing),
        "SpacingBetweenSlices": decimal(slice_spacing),
        "ImageOrientationPatient": [decimal(c) for c in cosines],
    }


def _slice(shared: Dataset, volume: Volume, options: ClassicSeriesOptions, k: int) -> Dataset:
    image = Dataset(shared)
    image.ImagePositionPatient = slice_position(volume, k)
    image.InstanceNumber = volume.shape[2] - k if options.reverse_slices else k + 1
    image.SOPInstanceUID = made_up_uid(options, "image", options.series_number, k)
    return image


def save(image: Dataset, path: Path) -> None:
    """Write an image as a file in explicit little endian.

    Args:
        image: With its class and instance UID.
        path: Where to write; folders are made.

    Raises:
        DicomWriteError: If the file cannot be written.
    """
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save_as(path, enforce_file_format=True)
    except OSError as error:
        raise DicomWriteError(path, f"{error.strerror}; choose a writable folder") from error


def made_up_uid(options: ClassicSeriesOptions, *parts: str | int) -> str:
    """Return an identifier that depends on the seed and on what it is for alone.

    Args:
        options: With the seed.
        parts: What it is for.
    """
    return generate_uid(entropy_srcs=["tds phantom", str(options.seed), *map(str, parts)])
