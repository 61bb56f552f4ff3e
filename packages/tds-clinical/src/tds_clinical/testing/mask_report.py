"""The report of a mask that was made by hand, as if a model had found it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.report import Interval, Lesion, LesionReport, ModelIdentity, Point
from tds_data.vocabulary import MODALITIES, REGION_LABELS, REGIONS, Modality, Region
from tds_data.volume import Volume

_TOUCHING: Final = np.ones((3, 3, 3), bool)

HAND_MADE: Final = ModelIdentity(
    name="hand-made", version="1", sha256="0" * 64, architecture="none", licence="Apache-2.0"
)
"""What stands where the model would."""


def report_mask(
    mask: Volume,
    *,
    modalities: tuple[Modality, ...] = MODALITIES,
    relative_interval: float | None = None,
    phantom: bool = True,
) -> LesionReport:
    """Return what a mask holds: its lesions, largest first, and their volumes.

    Args:
        mask: Labels 0 to 3.
        modalities: Sequences that are said to have been used.
        relative_interval: How far each volume may be off, as a share of it; no intervals if `None`.
        phantom: Whether it is marked as synthetic.
    """
    components, count = ndimage.label(mask.voxels != 0, structure=_TOUCHING)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    lesions = []
    for number, component in enumerate(np.argsort(-sizes, kind="stable") + 1, start=1):
        inside = np.asarray(components == component)
        lesions.append(_lesion(mask, inside, number, relative_interval))
    volumes = {region: sum((lesion.volume_ml[region] for lesion in lesions), 0.0) for region in REGIONS}
    return LesionReport(
        case="phantom" if phantom else "study",
        modalities=modalities,
        lesions=tuple(lesions),
        volume_ml=volumes,
        quality=(),
        model=HAND_MADE,
        phantom=phantom,
        volume_interval_ml=_intervals(volumes, relative_interval),
        interval_method=None if relative_interval is None else "made by hand",
    )


def _lesion(mask: Volume, inside: NDArray[np.bool_], number: int, share: float | None) -> Lesion:
    voxels = np.argwhere(inside)
    places = voxels @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
    labels = mask.voxels[inside]
    volumes = {
        region: float(np.isin(labels, list(REGION_LABELS[region])).sum()) * mask.voxel_volume_ml for region in REGIONS
    }
    half = np.abs(mask.ras_from_voxel[:3, :3]).sum(axis=1) / 2
    low, high = places.min(axis=0) - half, places.max(axis=0) + half
    return Lesion(
        number=number,
        centroid_mm=_point(places.mean(axis=0)),
        bounding_box_mm=(_point(low), _point(high)),
        longest_diameter_mm=float(np.linalg.norm(high - low - 2 * half)),
        volume_ml=volumes,
        volume_interval_ml=_intervals(volumes, share),
    )


def _intervals(volumes: dict[Region, float], share: float | None) -> dict[Region, Interval] | None:
    if share is None:
        return None
    return {region: (volume * (1 - share), volume * (1 + share)) for region, volume in volumes.items()}


def _point(place: NDArray[np.float64]) -> Point:
    x, y, z = place.tolist()
    return x, y, z
