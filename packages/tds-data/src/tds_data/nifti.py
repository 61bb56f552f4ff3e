"""NIfTI files in and out: the part of `tds_data.formats` that most studies need.

The bytes are read and unpacked in steps that release the interpreter's lock, so that the sequences of a study are read
side by side (`read_many`). No more is unpacked than a header promises.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tds_data.errors import VolumeWriteError
from tds_data.formats._nifti import open_nifti, read_nifti_shape
from tds_data.formats.images import write_image, write_images
from tds_data.formats.names import Format, format_of, image_stem
from tds_data.volume import Volume

NIFTI_SUFFIXES: Final = (".nii.gz", ".nii")
"""What the names of NIfTI files end with."""

_MAX_READERS: Final = 4


def is_nifti_name(path: Path) -> bool:
    """Tell whether a file is named as NIfTI files are.

    Args:
        path: Only its name is looked at.
    """
    return format_of(path) is Format.NIFTI


def nifti_stem(path: Path) -> str:
    """Return a file's name without `.nii` or `.nii.gz`.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> nifti_stem(Path("scan.nii.gz"))
        'scan'
    """
    return image_stem(path) if is_nifti_name(path) else path.name


def read_volume(path: Path) -> Volume:
    """Return the volume that a NIfTI file holds.

    The affine is the sform if its code is set, else the qform, else one made of the voxel sizes, with a logged
    warning. Voxels keep their stored type unless the header scales them, which gives float32. Axes of length one
    beyond the third are dropped.

    Args:
        path: A `.nii` or `.nii.gz` file.

    Raises:
        VolumeReadError: If the file is missing, damaged, not NIfTI, not three-dimensional, complex or coloured, or if
            its affine cannot be used.
    """
    return open_nifti(path).read()


def read_volumes(path: Path) -> list[Volume]:
    """Return the volumes of a four-dimensional NIfTI file, in the order of its fourth axis.

    Args:
        path: A `.nii` or `.nii.gz` file; a three-dimensional one gives a list of one.

    Raises:
        VolumeReadError: As `read_volume`, and for five axes or more.
    """
    return open_nifti(path).read_all()


def read_many(paths: Iterable[Path]) -> list[Volume]:
    """Return the volumes of several files, read side by side, in the order given.

    Args:
        paths: Files for `read_volume`.

    Raises:
        VolumeReadError: As `read_volume`, for the first file in order that cannot be read.
    """
    with ThreadPoolExecutor(_MAX_READERS, thread_name_prefix="nifti") as pool:
        return list(pool.map(read_volume, paths))


def read_shape(path: Path) -> tuple[int, ...]:
    """Return the length of each axis from the header alone, without trailing axes of length one beyond the third.

    Args:
        path: A `.nii` or `.nii.gz` file.

    Raises:
        VolumeReadError: If the file is missing or not NIfTI.
    """
    return read_nifti_shape(path)


def write_volume(path: Path, volume: Volume) -> None:
    """Write a volume as NIfTI, whole or not at all.

    The affine is stored as the sform and, if it holds no shear, as the qform, both with code 1 (scanner). The same
    volume always gives the same bytes. The file is written beside its target and then renamed.

    Args:
        path: Target ending in `.nii` or `.nii.gz`, in a folder that exists; an existing file is replaced.
        volume: Booleans are stored as uint8.

    Raises:
        VolumeWriteError: If the name does not end so, or the file cannot be written.
        VoxelError: If NIfTI readers do not commonly know the voxels' type, or an axis is too long.
    """
    _check_name(path)
    write_image(path, volume)


def write_volumes(path: Path, volumes: Sequence[Volume]) -> None:
    """Write volumes as one four-dimensional NIfTI file, whole or not at all, without losing a value.

    The stored type holds every value of each volume exactly. The affine is the first volume's.

    Args:
        path: Target as for `write_volume`.
        volumes: At least one, on one grid.

    Raises:
        VolumeWriteError: If the name does not end so, or the file cannot be written.
        VoxelError: If there is no volume, no type holds every value, or an axis is too long.
        GridMismatch: If the volumes are on different grids.
    """
    _check_name(path)
    write_images(path, volumes)


def _check_name(path: Path) -> None:
    if not is_nifti_name(path):
        raise VolumeWriteError(path, "a NIfTI file's name ends in .nii or .nii.gz")
