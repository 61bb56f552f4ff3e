"""What somebody should look at before a plan is used."""

import math

import numpy as np

from tds_core.training.planning.fingerprint import Fingerprint
from tds_core.training.planning.plan import Plan

_LITTLE_SEEN = 1 / 8
_FEW_CASES = 10
_FEW_VOXELS = 8
_UNEVEN = 4.0


def plan_warnings(plan: Plan, fingerprint: Fingerprint, needed_bytes: int) -> tuple[str, ...]:
    """Return sentences.

    Args:
        plan: As it was made.
        fingerprint: What the data set is like.
        needed_bytes: What training takes on the device.
    """
    return (*_about_data(fingerprint), *_about_extents(plan, fingerprint), *_about_memory(plan, needed_bytes))


def _about_data(fingerprint: Fingerprint) -> list[str]:
    found = []
    looked = f"the {len(fingerprint.cases)} cases that were looked at"
    found += [
        f"None of {looked} has the label {label}: it cannot be learned, and its scores will say nothing."
        for label in fingerprint.empty_labels
    ]
    found += [
        f"None of {looked} has the channel {channel}: the network will see zeros there, and cannot use it later."
        for channel in fingerprint.missing_channels
    ]
    if fingerprint.labelled == 1:
        found.append("There is one case: a run needs another one to validate with, and one patient teaches no network.")
    elif fingerprint.labelled < _FEW_CASES:
        found.append(f"There are {fingerprint.labelled} cases with a mask: scores on so few say little.")
    if fingerprint.phantoms:
        synthetic = f"{fingerprint.phantoms} of {fingerprint.labelled} cases"
        found.append(f"{synthetic} are synthetic: no score on them is one on patients.")
    return found


def _about_extents(plan: Plan, fingerprint: Fingerprint) -> list[str]:
    found = []
    shapes = fingerprint.shapes_at(plan.spacing_mm)
    median = np.median(shapes, axis=0)
    seen = math.prod(min(p, n) / n for p, n in zip(plan.patch, median.tolist(), strict=True))
    if seen < _LITTLE_SEEN:
        found.append(
            f"A patch shows {seen:.1%} of the median case: where context matters, try larger voxels "
            "(data.spacing_mm) or more memory."
        )
    if median.min() < _FEW_VOXELS:
        found.append(
            f"The median case has {median.min():.0f} voxels along {'xyz'[int(median.argmin())]}: most of a patch is "
            "outside the image there; try smaller voxels (data.spacing_mm)."
        )
    spread = fingerprint.spacings_mm.max(axis=0) / fingerprint.spacings_mm.min(axis=0)
    if spread.max() > _UNEVEN:
        found.append(
            f"The longest voxels are {spread.max():.1f} times as long as the shortest along "
            f"{'xyz'[int(spread.argmax())]}: coarse cases will be interpolated."
        )
    return found


def _about_memory(plan: Plan, needed_bytes: int) -> list[str]:
    if needed_bytes <= plan.vram_target_bytes:
        return []
    needed, target = needed_bytes / 1024**3, plan.vram_target_bytes / 1024**3
    sentence = (
        f"What the configuration sets needs about {needed:.1f} GiB, more than the target of {target:.1f} GiB: make "
        "sampling.patch smaller, or raise the target."
    )
    return [sentence]
