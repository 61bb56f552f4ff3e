"""SimpleITK behind RAS+ volumes and matrices: its own world, LPS+, stays in here."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from tds_data.errors import GeometryError, MissingDependency
from tds_data.raw.resampling import Affine
from tds_data.volume import Volume

_LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_ORTHOGONAL: Final = 1e-3
_ONE_AT_A_TIME: Final = threading.Lock()


def load_itk() -> Any:  # noqa: ANN401  # SimpleITK carries no annotations
    """Return SimpleITK.

    Raises:
        MissingDependency: If it is not installed.
    """
    try:
        import SimpleITK  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependency("SimpleITK", "register") from error
    return SimpleITK


@contextmanager
def single_thread() -> Iterator[Any]:
    """Give SimpleITK, held to one thread: sums over several round differently from one run to the next."""
    sitk = load_itk()
    with _ONE_AT_A_TIME:
        before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        try:
            yield sitk
        finally:
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def to_itk(volume: Volume) -> Any:  # noqa: ANN401  # as above
    """Return a float32 image of SimpleITK.

    Args:
        volume: Its axes must be at right angles.

    Raises:
        GeometryError: If they are not.
    """
    spacing = np.array(volume.spacing_mm)
    lps_from_voxel = _LPS_FROM_RAS @ volume.ras_from_voxel
    direction = lps_from_voxel[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > _ORTHOGONAL:
        message = "the axes of this image are not at right angles; resample it to a box first"
        raise GeometryError(message)
    image = load_itk().GetImageFromArray(np.ascontiguousarray(volume.voxels.astype(np.float32).transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps_from_voxel[:3, 3].tolist())
    left, _, right = np.linalg.svd(direction)
    image.SetDirection((left @ right).ravel().tolist())  # single-precision headers are never quite at right angles
    return image


def voxels_of(image: Any) -> np.ndarray[Any, np.dtype[np.float32]]:  # noqa: ANN401  # as above
    """Return an image's values as a float32 array of shape (x, y, z).

    Args:
        image: An image of SimpleITK.
    """
    return np.ascontiguousarray(load_itk().GetArrayFromImage(image).transpose(2, 1, 0), dtype=np.float32)


def to_itk_transform(ras_from_ras: Affine, centre_ras_mm: Affine, *, rigid: bool) -> Any:  # noqa: ANN401  # as above
    """Return a transform of SimpleITK that can be optimised.

    Args:
        ras_from_ras: The matrix that it starts with.
        centre_ras_mm: The point that it turns about, shape (3,).
        rigid: Turns and shifts only, instead of any affine.
    """
    sitk = load_itk()
    lps = _LPS_FROM_RAS @ ras_from_ras @ _LPS_FROM_RAS
    centre = _LPS_FROM_RAS[:3, :3] @ centre_ras_mm
    transform = sitk.VersorRigid3DTransform() if rigid else sitk.AffineTransform(3)
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(lps[:3, :3].ravel().tolist(), 1e-6) if rigid else transform.SetMatrix(
        lps[:3, :3].ravel().tolist()
    )
    transform.SetTranslation((lps[:3, :3] @ centre + lps[:3, 3] - centre).tolist())
    return transform


def from_itk_transform(transform: Any) -> Affine:  # noqa: ANN401  # as above
    """Return the RAS+ matrix of shape (4, 4) that an affine transform of SimpleITK stands for.

    Args:
        transform: Rigid or affine.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return _LPS_FROM_RAS @ matrix @ _LPS_FROM_RAS
