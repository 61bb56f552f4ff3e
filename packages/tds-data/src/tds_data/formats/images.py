"""One way in and out for every format, chosen by the file's name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import VolumeReadError, VolumeWriteError
from tds_data.formats._inflate import Container
from tds_data.formats._metaimage import encode_metaimage, open_metaimage
from tds_data.formats._nifti import encode_nifti, open_nifti
from tds_data.formats._npz import encode_npz, open_npz
from tds_data.formats._nrrd import encode_nrrd, open_nrrd
from tds_data.formats._stack import stack
from tds_data.formats._whole_file import packed, write_whole
from tds_data.formats.image_file import ImageFile
from tds_data.formats.names import IMAGE_SUFFIXES, Format, format_of, suffix_of
from tds_data.volume import Volume, VoxelArray

_OPENERS: Final[dict[Format, Callable[[Path], ImageFile]]] = {
    Format.NIFTI: open_nifti,
    Format.NRRD: open_nrrd,
    Format.METAIMAGE: open_metaimage,
    Format.NPZ: open_npz,
}
_ENCODERS: Final[dict[str, Callable[[VoxelArray, NDArray[np.float64]], bytes]]] = {
    ".nii": encode_nifti,
    ".nii.gz": lambda voxels, affine: packed(encode_nifti(voxels, affine), Container.GZIP),
    ".nrrd": encode_nrrd,
    ".mha": encode_metaimage,
    ".npz": encode_npz,
}
_PAIR_SUFFIXES: Final = (".hdr", ".img", ".hdr.gz", ".img.gz")


def open_image(path: Path) -> ImageFile:
    """Return what an image's header says; its voxels are read when they are asked for.

    Args:
        path: A file named `.nii`, `.nii.gz`, `.nrrd`, `.nhdr`, `.mha`, `.mhd` or `.npz`.

    Raises:
        VolumeReadError: If the file is missing, damaged, not what its name says, no volume of real numbers, without a
            usable affine, or points to voxels outside its folder.
    """
    kind = format_of(path)
    if kind is None:
        if path.name.lower().endswith(_PAIR_SUFFIXES):
            raise VolumeReadError(path, "it is half of an image pair (.hdr and .img); convert it to a single .nii.gz")
        raise VolumeReadError(path, f"its name ends in none of {', '.join(IMAGE_SUFFIXES)}; convert or rename it")
    return _OPENERS[kind](path)


def read_image(path: Path) -> Volume:
    """Return the volume that a file of any format holds.

    Args:
        path: As for `open_image`.

    Raises:
        VolumeReadError: As for `open_image`, and if the voxels cannot be read or the file holds several volumes.
    """
    return open_image(path).read()


def write_image(path: Path, volume: Volume) -> None:
    """Write a volume in the format that its name stands for, whole or not at all.

    The file is written beside its target and then renamed. The same volume always gives the same bytes.

    Args:
        path: Target ending in `.nii`, `.nii.gz`, `.nrrd`, `.mha` or `.npz`, in a folder that exists; an existing file
            is replaced.
        volume: Booleans are stored as uint8, but in `.npz`.

    Raises:
        VolumeWriteError: If the name does not end so, or the file cannot be written.
        VoxelError: If the format cannot hold the voxels' type or shape.
    """
    encode = _encoder(path)
    write_whole(path, encode(volume.voxels, volume.ras_from_voxel))


def write_images(path: Path, volumes: Sequence[Volume]) -> None:
    """Write volumes along a fourth axis of one file, whole or not at all, without losing a value.

    The type is the smallest step up that holds every value of each volume exactly. The affine is the first volume's.

    Args:
        path: As for `write_image`.
        volumes: At least one, on one grid.

    Raises:
        VolumeWriteError: If the name does not end so, or the file cannot be written.
        VoxelError: If there is no volume, or no type holds every value.
        GridMismatch: If the volumes are on different grids.
    """
    encode = _encoder(path)
    write_whole(path, encode(stack(volumes), volumes[0].ras_from_voxel))


def _encoder(path: Path) -> Callable[[VoxelArray, NDArray[np.float64]], bytes]:
    encode = _ENCODERS.get(suffix_of(path) or "")
    if encode is None:
        reason = f"the name of an image to write ends in one of {', '.join(_ENCODERS)}; choose one of them"
        raise VolumeWriteError(path, reason)
    return encode
