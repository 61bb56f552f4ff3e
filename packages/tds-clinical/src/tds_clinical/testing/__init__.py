"""DICOM test data made from volumes, for the tests of whoever reads DICOM."""

from tds_clinical.testing.classic_series import ClassicSeriesOptions, write_classic_series, write_classic_study

__all__ = ["ClassicSeriesOptions", "write_classic_series", "write_classic_study"]
