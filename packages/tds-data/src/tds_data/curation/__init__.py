"""Data sets fetched, split into folds without leaks, and unpacked without trust.

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tds_data.curation._transfer import TransferOptions
    from tds_data.curation.archives import ArchiveLimits, Unpacked, unpack_archive
    from tds_data.curation.fetch import Fetched, FetchOptions
    from tds_data.curation.releases import CC_BY_SA_4, DECATHLON, Licence, Release

__all__ = [
    "CC_BY_SA_4",
    "DECATHLON",
    "ArchiveLimits",
    "FetchOptions",
    "Fetched",
    "Licence",
    "Release",
    "TransferOptions",
    "Unpacked",
    "unpack_archive",
]

_HOMES: Final = {
    "_transfer": ("TransferOptions",),
    "archives": ("ArchiveLimits", "Unpacked", "unpack_archive"),
    "fetch": ("FetchOptions", "Fetched"),
    "releases": ("CC_BY_SA_4", "DECATHLON", "Licence", "Release"),
}


def __getattr__(name: str) -> object:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
