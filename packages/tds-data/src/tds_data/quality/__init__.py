"""The quality gate and the checks behind it.

`check_case` looks at one case in memory, `check_dataset` at every case of a manifest. Names are loaded when they are
first used.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.quality.codes import CODES, Area, Code, flag
    from tds_data.quality.coverage import HEAD_LIMITS_ML, MIN_BACKGROUND_SHARE, MIN_OVERLAP, USUAL_BRAIN_ML
    from tds_data.quality.dataset_report import CHECK_SCHEMA_VERSION, CaseReport, DatasetReport
    from tds_data.quality.gate import check_case, refuse_errors
    from tds_data.quality.grids import ANISOTROPY_LIMIT, MIN_EXTENT_MM, SPACING_LIMITS_MM, THICK_SLICES_MM
    from tds_data.quality.page import prepare_folder, render_page, write_check
    from tds_data.quality.pictures import Picture
    from tds_data.quality.runner import check_dataset
    from tds_data.quality.sources import Source, open_source
    from tds_data.quality.structure import check_structure

__all__ = [
    "ANISOTROPY_LIMIT",
    "CHECK_SCHEMA_VERSION",
    "CODES",
    "HEAD_LIMITS_ML",
    "MIN_BACKGROUND_SHARE",
    "MIN_EXTENT_MM",
    "MIN_OVERLAP",
    "SPACING_LIMITS_MM",
    "THICK_SLICES_MM",
    "USUAL_BRAIN_ML",
    "Area",
    "CaseReport",
    "Code",
    "DatasetReport",
    "Picture",
    "Source",
    "check_case",
    "check_dataset",
    "check_structure",
    "flag",
    "open_source",
    "prepare_folder",
    "refuse_errors",
    "render_page",
    "write_check",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "pictures": ("Picture",),
        "codes": ("CODES", "Area", "Code", "flag"),
        "coverage": ("HEAD_LIMITS_ML", "MIN_BACKGROUND_SHARE", "MIN_OVERLAP", "USUAL_BRAIN_ML"),
        "dataset_report": ("CHECK_SCHEMA_VERSION", "CaseReport", "DatasetReport"),
        "gate": ("check_case", "refuse_errors"),
        "grids": ("ANISOTROPY_LIMIT", "MIN_EXTENT_MM", "SPACING_LIMITS_MM", "THICK_SLICES_MM"),
        "page": ("prepare_folder", "render_page", "write_check"),
        "runner": ("check_dataset",),
        "sources": ("Source", "open_source"),
        "structure": ("check_structure",),
    },
)
