"""DICOM studies in, reports out: what a hospital's systems speak.

The errors are here; `tds_clinical.dicom` reads studies, `tds_clinical.reports` writes reports and
`tds_clinical.testing` makes DICOM test data.
"""

from tds_clinical.errors import (
    AmbiguousSeries,
    ClinicalError,
    DicomReadError,
    DicomWriteError,
    FolderNotReadable,
    GeometryNotSupported,
    IncompleteSeries,
    MixedPatients,
    NoImages,
    ReportError,
    SeriesNotFound,
)

__all__ = [
    "AmbiguousSeries",
    "ClinicalError",
    "DicomReadError",
    "DicomWriteError",
    "FolderNotReadable",
    "GeometryNotSupported",
    "IncompleteSeries",
    "MixedPatients",
    "NoImages",
    "ReportError",
    "SeriesNotFound",
]
