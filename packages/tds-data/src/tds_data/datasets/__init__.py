"""Data sets: every layout to one manifest, and one layout into another.

Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.datasets.convert import TARGET_LAYOUTS, Conversion, ConvertOptions, convert_dataset
    from tds_data.datasets.index import LAYOUTS, index_dataset
    from tds_data.datasets.load import load_entry
    from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest, read_manifest, write_manifest
    from tds_data.datasets.schemes import SCHEME_NAMES, LabelScheme, find_scheme

__all__ = [
    "LAYOUTS",
    "SCHEME_NAMES",
    "TARGET_LAYOUTS",
    "CaseEntry",
    "Conversion",
    "ConvertOptions",
    "FileEntry",
    "LabelScheme",
    "Manifest",
    "convert_dataset",
    "find_scheme",
    "index_dataset",
    "load_entry",
    "read_manifest",
    "write_manifest",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "convert": ("Conversion", "ConvertOptions", "TARGET_LAYOUTS", "convert_dataset"),
        "index": ("LAYOUTS", "index_dataset"),
        "load": ("load_entry",),
        "manifest": ("CaseEntry", "FileEntry", "Manifest", "read_manifest", "write_manifest"),
        "schemes": ("LabelScheme", "SCHEME_NAMES", "find_scheme"),
    },
)
