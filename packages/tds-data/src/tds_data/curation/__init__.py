"""Data sets fetched, split into folds without leaks, and unpacked without trust.

Names are loaded when they are first used. `tds_data.curation.fetch.fetch` is found in its own module, whose name it
shares.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.curation._transfer import TransferOptions
    from tds_data.curation.archives import ArchiveLimits, Unpacked, unpack_archive
    from tds_data.curation.fetch import Fetched, FetchOptions
    from tds_data.curation.fold_files import read_folds, read_nnunet_splits, write_folds, write_nnunet_splits
    from tds_data.curation.folds import FoldConfig, Folds, make_folds
    from tds_data.curation.leaks import Leak, LeakKind, find_leaks, refuse_leaks
    from tds_data.curation.releases import CC_BY_SA_4, DECATHLON, Licence, Release
    from tds_data.curation.tumour_volume import tumour_volumes_ml

__all__ = [
    "CC_BY_SA_4",
    "DECATHLON",
    "ArchiveLimits",
    "FetchOptions",
    "Fetched",
    "FoldConfig",
    "Folds",
    "Leak",
    "LeakKind",
    "Licence",
    "Release",
    "TransferOptions",
    "Unpacked",
    "find_leaks",
    "make_folds",
    "read_folds",
    "read_nnunet_splits",
    "refuse_leaks",
    "tumour_volumes_ml",
    "unpack_archive",
    "write_folds",
    "write_nnunet_splits",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "_transfer": ("TransferOptions",),
        "archives": ("ArchiveLimits", "Unpacked", "unpack_archive"),
        "fetch": ("FetchOptions", "Fetched"),
        "fold_files": ("read_folds", "read_nnunet_splits", "write_folds", "write_nnunet_splits"),
        "folds": ("FoldConfig", "Folds", "make_folds"),
        "leaks": ("Leak", "LeakKind", "find_leaks", "refuse_leaks"),
        "releases": ("CC_BY_SA_4", "DECATHLON", "Licence", "Release"),
        "tumour_volume": ("tumour_volumes_ml",),
    },
)
