"""Images in every format that the field uses: the header first, the voxels when they are asked for.

Names are loaded when they are first used, so that `tds_data.formats.names` costs no NumPy.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names
from tds_data.formats.names import IMAGE_SUFFIXES, Format, format_of, image_stem, is_image_name

if TYPE_CHECKING:
    from tds_data.formats._stored import VoxelSource
    from tds_data.formats.image_file import AffineSource, ImageFile
    from tds_data.formats.images import open_image, read_image, write_image, write_images

__all__ = [
    "IMAGE_SUFFIXES",
    "AffineSource",
    "Format",
    "ImageFile",
    "VoxelSource",
    "format_of",
    "image_stem",
    "is_image_name",
    "open_image",
    "read_image",
    "write_image",
    "write_images",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "_stored": ("VoxelSource",),
        "image_file": ("AffineSource", "ImageFile"),
        "images": ("open_image", "read_image", "write_image", "write_images"),
    },
)
