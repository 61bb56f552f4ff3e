"""Which format a file is in, by its name. Importing this costs nothing."""

from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final


class Format(StrEnum):
    """A file format that holds volumes."""

    NIFTI = "nifti"
    NRRD = "nrrd"
    METAIMAGE = "metaimage"
    NPZ = "npz"


SUFFIX_FORMATS: Final = MappingProxyType(
    {
        ".nii.gz": Format.NIFTI,
        ".nii": Format.NIFTI,
        ".nrrd": Format.NRRD,
        ".nhdr": Format.NRRD,
        ".mha": Format.METAIMAGE,
        ".mhd": Format.METAIMAGE,
        ".npz": Format.NPZ,
    }
)
"""The format that each suffix stands for, in lower case; no suffix comes after one that it ends with."""

IMAGE_SUFFIXES: Final = tuple(SUFFIX_FORMATS)
"""What the names of images end with."""


def suffix_of(path: Path) -> str | None:
    """Return the suffix, in lower case, that says a file's format, or `None` if it has no such suffix.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> suffix_of(Path("scan.1.NII.gz"))
        '.nii.gz'
    """
    name = path.name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), None)


def format_of(path: Path) -> Format | None:
    """Return the format that a file's name stands for, or `None` if it is named like no image.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> format_of(Path("t1.mha"))
        <Format.METAIMAGE: 'metaimage'>
    """
    suffix = suffix_of(path)
    return None if suffix is None else SUFFIX_FORMATS[suffix]


def is_image_name(path: Path) -> bool:
    """Tell whether a file is named as images are that `open_image` reads.

    Args:
        path: Only its name is looked at.
    """
    return suffix_of(path) is not None


def image_stem(path: Path) -> str:
    """Return a file's name without the suffix that says its format.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> image_stem(Path("scan.nii.gz")), image_stem(Path("t1.nrrd")), image_stem(Path("notes.txt"))
        ('scan', 't1', 'notes.txt')
    """
    suffix = suffix_of(path) or ""
    return path.name[: len(path.name) - len(suffix)]
