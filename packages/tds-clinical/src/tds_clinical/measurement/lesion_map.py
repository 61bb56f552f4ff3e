"""Which voxel belongs to which lesion of a report."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_clinical.errors import ResultsDisagree
from tds_data.geometry import Box, bounding_box
from tds_data.report import LesionReport
from tds_data.volume import Volume

_TOUCHING: Final = np.ones((3, 3, 3), bool)
_SAME_PLACE_MM: Final = 0.05


def map_lesions(mask: Volume, report: LesionReport) -> NDArray[np.uint16]:
    """Return the number of the lesion that each voxel belongs to.

    Voxels that touch by a face, an edge or a corner belong to one lesion, and a lesion has the number that the report
    gives to the one with the same centroid.

    Args:
        mask: Labels 0 to 3.
        report: What was found in it.

    Returns:
        Uint16 array of the mask's shape, 0 outside lesions.

    Raises:
        ResultsDisagree: If mask and report do not have the same lesions.
    """
    box = bounding_box(mask.voxels != 0) or Box(start=(0, 0, 0), stop=(0, 0, 0))
    components, count = ndimage.label(mask.voxels[box.slices] != 0, structure=_TOUCHING)
    if count != len(report.lesions):
        message = f"the mask has {count} lesions and the report {len(report.lesions)}; give the mask that it is about"
        raise ResultsDisagree(message)
    numbers = np.zeros(count + 1, np.uint16)
    if count:
        places = (_centres(components, count) + box.start) @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
        for lesion in report.lesions:
            distances = np.linalg.norm(places - np.array(lesion.centroid_mm), axis=1)
            nearest = int(distances.argmin())
            if distances[nearest] > _SAME_PLACE_MM or numbers[nearest + 1]:
                message = (
                    f"lesion {lesion.number} of the report is not where the mask has one ({distances[nearest]:.2f} mm "
                    "off); give the mask that the report is about"
                )
                raise ResultsDisagree(message)
            numbers[nearest + 1] = lesion.number
    lesions = np.zeros(mask.shape, np.uint16)
    lesions[box.slices] = numbers[components]
    return lesions


def _centres(components: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Return the centre of mass of each component, voxels, shape (count, 3)."""
    places = np.argwhere(components)
    numbers = components[components > 0] - 1
    sizes = np.bincount(numbers, minlength=count)
    sums = [np.bincount(numbers, weights=column, minlength=count) for column in places.T]
    return np.asarray(np.stack(sums, axis=1) / sizes[:, None])
