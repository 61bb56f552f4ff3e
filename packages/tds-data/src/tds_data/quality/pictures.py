"""One slice of each image of a case, as people look at it: front up, the patient's right on the left."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.errors import MissingDependency
from tds_data.geometry import to_canonical
from tds_data.preprocess import background
from tds_data.quality.outlines import region_outlines
from tds_data.vocabulary import Region
from tds_data.volume import Volume, VoxelArray

PICTURE_PX: Final = 320
"""Length of a picture's longer side."""

_QUALITY: Final = 80
_MARGIN: Final = 0.06  # of the head's size, left around it
_MIDDLE: Final = 0.9  # slices with so much of the fullest slice's content may stand for the middle of the head
_WINDOW: Final = (0.5, 99.6)  # percentiles of the head's intensities that become black and white
_BELOW: Final = 0.12  # part of the window by which black lies below, so that dark tissue stands off the background


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A slice of an image.

    Attributes:
        subject: The image's name in the manifest.
        webp: The encoded picture.
        size_px: Its width and height.
        size_voxels: Width and height of what it shows, in voxels; outlines are in these units.
        place: Which slice it is, in words.
        outlines: The border of each region in it as SVG path data, the outermost first.
    """

    subject: str
    webp: bytes
    size_px: tuple[int, int]
    size_voxels: tuple[int, int]
    place: str
    outlines: tuple[tuple[Region, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What part of which axial slice is shown: half-open ranges of canonical voxels."""

    x: tuple[int, int]
    y: tuple[int, int]
    z: int


def draw_pictures(images: Mapping[str, Volume], mask: Volume | None) -> tuple[Picture, ...]:
    """Return one axial slice of each image, where the mask is largest or else in the middle of the head.

    Images on one grid show the same part of the same slice.

    Args:
        images: Finite volumes by name.
        mask: Labels 0 to 3, if there is a mask.

    Raises:
        MissingDependency: If Pillow is not installed.
    """
    frames: list[tuple[Volume, _Frame]] = []
    pictures = []
    for name, volume in images.items():
        labels = mask if mask is not None and mask.same_grid(volume) else None
        frame = next((frame for grid, frame in frames if grid.same_grid(volume)), None)
        if frame is None:
            frame = _choose(volume, labels)
            frames.append((volume, frame))
        pictures.append(_draw(name, volume, labels, frame))
    return tuple(pictures)


def _choose(volume: Volume, labels: Volume | None) -> _Frame:
    canonical = to_canonical(volume).voxels
    head = canonical != background(canonical)
    marked = None if labels is None else np.count_nonzero(to_canonical(labels).voxels, axis=(0, 1))
    if marked is not None and marked.any():
        z = int(marked.argmax())
    else:
        filled = np.count_nonzero(head, axis=(0, 1))
        middle = np.flatnonzero(filled >= _MIDDLE * filled.max())
        z = int(middle[len(middle) // 2])
    plane = head[:, :, z] if head[:, :, z].any() else np.ones(head.shape[:2], dtype=bool)
    return _Frame(x=_range(np.count_nonzero(plane, axis=1)), y=_range(np.count_nonzero(plane, axis=0)), z=z)


def _range(filled: NDArray[np.intp]) -> tuple[int, int]:
    places = np.flatnonzero(filled)
    margin = int(np.ceil(_MARGIN * (places[-1] - places[0] + 1)))
    return max(0, int(places[0]) - margin), min(filled.size, int(places[-1]) + 1 + margin)


def _draw(name: str, volume: Volume, labels: Volume | None, frame: _Frame) -> Picture:
    canonical = to_canonical(volume)
    grey = _windowed(_seen(canonical.voxels, frame), canonical.voxels)
    sx, sy, _ = canonical.spacing_mm
    width_mm, height_mm = grey.shape[1] * sx, grey.shape[0] * sy
    scale = PICTURE_PX / max(width_mm, height_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    middle = [(canonical.shape[0] - 1) / 2, (canonical.shape[1] - 1) / 2, frame.z, 1]
    z_mm = float((canonical.ras_from_voxel @ middle)[2])
    return Picture(
        subject=name,
        webp=_encoded(grey, size),
        size_px=size,
        size_voxels=(grey.shape[1], grey.shape[0]),
        place=f"axial slice {frame.z + 1} of {canonical.shape[2]} from below, z = {z_mm:.0f} mm",
        outlines=() if labels is None else region_outlines(_seen(to_canonical(labels).voxels, frame)),
    )


def _seen(canonical: VoxelArray, frame: _Frame) -> VoxelArray:
    """Return the frame's part of a slice as rows from front to back and columns from the patient's right to left."""
    plane = canonical[slice(*frame.x), slice(*frame.y), frame.z]
    return plane[::-1, ::-1].T


def _windowed(plane: VoxelArray, voxels: VoxelArray) -> NDArray[np.uint8]:
    empty = background(voxels)
    sample = voxels[::3, ::3, ::3]
    inside = sample[sample != empty].astype(np.float64)
    low, high = np.percentile(inside, _WINDOW) if inside.size else (0.0, 1.0)
    low -= _BELOW * (high - low)
    grey = (plane.astype(np.float64) - low) / ((high - low) or 1.0)
    grey[plane == empty] = 0.0
    return np.rint(np.clip(np.nan_to_num(grey), 0.0, 1.0) * 255).astype(np.uint8)


def require_pillow() -> None:
    """Refuse early what needs pictures.

    Raises:
        MissingDependency: If Pillow is not installed.
    """
    if find_spec("PIL") is None:
        raise MissingDependency("pillow", "report")


def _encoded(grey: NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    require_pillow()
    from PIL import Image  # noqa: PLC0415  # an optional extra

    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.LANCZOS)
    picture.save(buffer, format="WEBP", quality=_QUALITY, method=4)
    return buffer.getvalue()
