"""Reading DICOM studies; the only place where DICOM's own patient axes (LPS) appear."""

from tds_clinical.dicom._archives import is_archive
from tds_clinical.dicom._model import SeriesFiles, SliceFile
from tds_clinical.dicom._picking import IdentifiedSeries
from tds_clinical.dicom.identify import SequenceGuess, identify_sequence
from tds_clinical.dicom.notes import reading_notes
from tds_clinical.dicom.phantoms import shows_phantom
from tds_clinical.dicom.series import FolderScan, read_series_headers, scan_folder
from tds_clinical.dicom.source import SourceFrame, SourceSeries, read_source
from tds_clinical.dicom.study import (
    DicomSequences,
    DicomStudy,
    looks_like_dicom,
    read_sequences,
    read_study,
)
from tds_clinical.dicom.study_table import SeriesRow, StudyTable, inspect_study
from tds_clinical.dicom.study_time import study_day, study_time
from tds_clinical.dicom.time_series import TimeSeries, read_time_series
from tds_clinical.dicom.volume import irregularity, read_series

__all__ = [
    "DicomSequences",
    "DicomStudy",
    "FolderScan",
    "IdentifiedSeries",
    "SequenceGuess",
    "SeriesFiles",
    "SeriesRow",
    "SliceFile",
    "SourceFrame",
    "SourceSeries",
    "StudyTable",
    "TimeSeries",
    "identify_sequence",
    "inspect_study",
    "irregularity",
    "is_archive",
    "looks_like_dicom",
    "read_sequences",
    "read_series",
    "read_series_headers",
    "read_source",
    "read_study",
    "read_time_series",
    "reading_notes",
    "scan_folder",
    "shows_phantom",
    "study_day",
    "study_time",
]
