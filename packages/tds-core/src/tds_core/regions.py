"""From the regions of a task to a label map."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tds_data.task import Task


def paint_regions(found: Mapping[str, NDArray[np.bool_]], task: Task) -> NDArray[np.uint8]:
    """Return the label map that masks of regions describe.

    Regions are painted from the outermost to the innermost, each with the label that it has and no region inside it
    has; a region inside another is cut to it.

    Args:
        found: Boolean array of shape (x, y, z) for each region of the task.
        task: Says which labels each region holds.

    Returns:
        Uint8 labels of shape (x, y, z).
    """
    order = sorted(task.regions, key=lambda region: -len(task.regions[region]))
    labels = np.zeros(next(iter(found.values())).shape, dtype=np.uint8)
    for region in order:
        members = set(task.regions[region])
        mask = found[region]
        for outer in order:
            if members < set(task.regions[outer]):
                mask = mask & found[outer]
        inner = {label for other in order if set(task.regions[other]) < members for label in task.regions[other]}
        own = [label for label in task.regions[region] if label not in inner]
        if own:
            labels[mask] = own[0]
    return labels
