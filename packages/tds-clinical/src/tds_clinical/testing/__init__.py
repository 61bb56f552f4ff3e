"""DICOM test data made from volumes, for the tests of whoever reads DICOM."""

from tds_clinical.testing.classic_series import ClassicSeriesOptions, write_classic_series, write_classic_study
from tds_clinical.testing.damage import damage_file
from tds_clinical.testing.enhanced_series import EnhancedDimension, EnhancedSeriesOptions, write_enhanced_series
from tds_clinical.testing.mosaic_series import MosaicSeriesOptions, write_mosaic_series
from tds_clinical.testing.raw_study import RAW_ACQUISITIONS, Acquisition, write_raw_study

__all__ = [
    "RAW_ACQUISITIONS",
    "Acquisition",
    "ClassicSeriesOptions",
    "EnhancedDimension",
    "EnhancedSeriesOptions",
    "MosaicSeriesOptions",
    "damage_file",
    "write_classic_series",
    "write_classic_study",
    "write_enhanced_series",
    "write_mosaic_series",
    "write_raw_study",
]
