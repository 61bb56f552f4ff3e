"""Images in every format that the field uses: the header first, the voxels when they are asked for.

Names are loaded when they are first used, so that `tds_data.formats.names` costs no NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from tds_data.formats.names import IMAGE_SUFFIXES, Format, format_of, image_stem, is_image_name

if TYPE_CHECKING:
    from tds_data.formats.image_file import AffineSource, ImageFile
    from tds_data.formats.images import open_image, read_image, write_image, write_images

__all__ = [
    "IMAGE_SUFFIXES",
    "AffineSource",
    "Format",
    "ImageFile",
    "format_of",
    "image_stem",
    "is_image_name",
    "open_image",
    "read_image",
    "write_image",
    "write_images",
]

_HOMES: Final = {
    "AffineSource": "image_file",
    "ImageFile": "image_file",
    "open_image": "images",
    "read_image": "images",
    "write_image": "images",
    "write_images": "images",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
