"""Volumes, cases, readers, quality checks and preprocessing for brain-tumour MRI.

Names are loaded when they are first used: importing the package costs nothing, and its vocabulary needs no NumPy.
`tds_data.discover.discover` is found in its own module, whose name it shares.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tds_data.atomic import atomic_folder, check_target
    from tds_data.case import Case
    from tds_data.errors import (
        AmbiguousSequence,
        DataError,
        GeometryError,
        GridMismatch,
        LabelError,
        MissingDependency,
        RefusedStudy,
        SequenceNotFound,
        StudyError,
        VolumeReadError,
        VolumeWriteError,
        VoxelError,
    )
    from tds_data.geometry import Box, bounding_box, from_canonical, resample, to_canonical
    from tds_data.labels import read_reference, translate_labels
    from tds_data.nifti import read_many, read_shape, read_volume, read_volumes, write_volume, write_volumes
    from tds_data.phantom import PhantomConfig, make_phantom
    from tds_data.preprocess import (
        Prepared,
        PreprocessConfig,
        background,
        foreground,
        prepare,
        prepare_reference,
        region_labels,
        restore,
    )
    from tds_data.quality import check_case, refuse_errors
    from tds_data.report import (
        RESEARCH_USE_NOTICE,
        SCHEMA_VERSION,
        Lesion,
        LesionReport,
        ModelIdentity,
        QualityFlag,
        ReportFormatError,
        Severity,
    )
    from tds_data.study_files import ImageSource, StudyFiles, load_case
    from tds_data.vocabulary import (
        MODALITIES,
        MODALITY_ALIASES,
        REGION_LABELS,
        REGION_NAMES,
        REGIONS,
        Label,
        Modality,
        Region,
    )
    from tds_data.volume import Volume

__all__ = [
    "MODALITIES",
    "MODALITY_ALIASES",
    "REGIONS",
    "REGION_LABELS",
    "REGION_NAMES",
    "RESEARCH_USE_NOTICE",
    "SCHEMA_VERSION",
    "AmbiguousSequence",
    "Box",
    "Case",
    "DataError",
    "GeometryError",
    "GridMismatch",
    "ImageSource",
    "Label",
    "LabelError",
    "Lesion",
    "LesionReport",
    "MissingDependency",
    "Modality",
    "ModelIdentity",
    "PhantomConfig",
    "Prepared",
    "PreprocessConfig",
    "QualityFlag",
    "RefusedStudy",
    "Region",
    "ReportFormatError",
    "SequenceNotFound",
    "Severity",
    "StudyError",
    "StudyFiles",
    "Volume",
    "VolumeReadError",
    "VolumeWriteError",
    "VoxelError",
    "atomic_folder",
    "background",
    "bounding_box",
    "check_case",
    "check_target",
    "foreground",
    "from_canonical",
    "load_case",
    "make_phantom",
    "prepare",
    "prepare_reference",
    "read_many",
    "read_reference",
    "read_shape",
    "read_volume",
    "read_volumes",
    "refuse_errors",
    "region_labels",
    "resample",
    "restore",
    "to_canonical",
    "translate_labels",
    "write_volume",
    "write_volumes",
]

_HOMES: Final = {
    "atomic": ("atomic_folder", "check_target"),
    "case": ("Case",),
    "errors": (
        "AmbiguousSequence",
        "DataError",
        "GeometryError",
        "GridMismatch",
        "LabelError",
        "MissingDependency",
        "RefusedStudy",
        "SequenceNotFound",
        "StudyError",
        "VolumeReadError",
        "VolumeWriteError",
        "VoxelError",
    ),
    "geometry": ("Box", "bounding_box", "from_canonical", "resample", "to_canonical"),
    "labels": ("read_reference", "translate_labels"),
    "nifti": ("read_many", "read_shape", "read_volume", "read_volumes", "write_volume", "write_volumes"),
    "phantom": ("PhantomConfig", "make_phantom"),
    "preprocess": (
        "Prepared",
        "PreprocessConfig",
        "background",
        "foreground",
        "prepare",
        "prepare_reference",
        "region_labels",
        "restore",
    ),
    "quality": ("check_case", "refuse_errors"),
    "report": (
        "Lesion",
        "LesionReport",
        "ModelIdentity",
        "QualityFlag",
        "RESEARCH_USE_NOTICE",
        "ReportFormatError",
        "SCHEMA_VERSION",
        "Severity",
    ),
    "study_files": ("ImageSource", "StudyFiles", "load_case"),
    "vocabulary": (
        "Label",
        "MODALITIES",
        "MODALITY_ALIASES",
        "Modality",
        "REGIONS",
        "REGION_LABELS",
        "REGION_NAMES",
        "Region",
    ),
    "volume": ("Volume",),
}


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
