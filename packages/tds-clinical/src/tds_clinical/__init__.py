"""DICOM studies in, reports out: what a hospital's systems speak.

The errors are here; `tds_clinical.dicom` reads studies, `tds_clinical.reports` writes reports and
`tds_clinical.testing` makes DICOM test data.
"""

from tds_clinical.errors import (
    AmbiguousSeries,
    ArchiveNotReadable,
    ClinicalDependency,
    ClinicalError,
    DicomReadError,
    DicomWriteError,
    FolderNotReadable,
    FollowUpError,
    GeometryNotSupported,
    IncompleteSeries,
    MixedPatients,
    NoImages,
    PushFailed,
    ReportError,
    ResultsDisagree,
    SeriesNotFound,
)

__all__ = [
    "AmbiguousSeries",
    "ArchiveNotReadable",
    "ClinicalDependency",
    "ClinicalError",
    "DicomReadError",
    "DicomWriteError",
    "FolderNotReadable",
    "FollowUpError",
    "GeometryNotSupported",
    "IncompleteSeries",
    "MixedPatients",
    "NoImages",
    "PushFailed",
    "ReportError",
    "ResultsDisagree",
    "SeriesNotFound",
]
