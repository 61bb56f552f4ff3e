"""The growth in a phantom: where it lies, its core and rim, and the oedema that follows the white matter."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.spatial.transform import Rotation

from tds_data._phantom_anatomy import Anatomy, Mass
from tds_data._phantom_fields import Float, Lattice, Point, SmoothField
from tds_data.vocabulary import Label

PLANNING_MM: Final = 3.0
"""Spacing at which tumours are placed and oedema is spread, whatever the phantom's own spacing."""
_FAR_MM: Final = 90.0
_MOSTLY: Final = 0.5
_RIM_UNEVENNESS: Final = 0.25
_RIM_MM: Final = 2.6
# Where the hemispheres' white matter begins in the template's frame, above brain stem, cerebellum and eyes.
_MIDLINE_MM: Final = 12.0
_TEMPORAL_MM: Final = 28.0
_FRONTAL_FLOOR_MM: Final = -8.0
_TEMPORAL_FLOOR_MM: Final = -22.0
_CENTRAL_FLOOR_MM: Final = 4.0
_SIDES: Final = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_DIAGONALS: Final = ((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """One tumour before it is drawn.

    Attributes:
        centre_mm: Middle of the core.
        axes_mm: Matrix of shape (3, 3) whose rows measure a place along the core's half axes (1 on its surface).
        core_ml: Volume of the core.
        whole_ml: Volume of core and oedema.
        necrosis: Share of the core that is necrotic.
        lumps: Field that dents the core.
        rim: Field that varies the thickness of the rim.
        fringe: Field that frays the oedema.
    """

    centre_mm: Point
    axes_mm: NDArray[np.float64]
    core_ml: float
    whole_ml: float
    necrosis: float
    lumps: SmoothField
    rim: SmoothField
    fringe: SmoothField

    @property
    def mass(self) -> Mass:
        """How it pushes its surroundings."""
        return Mass(centre_mm=self.centre_mm, radius_mm=_radius_mm(self.core_ml))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Growth:
    """Tumours drawn on a lattice.

    Attributes:
        labels: Uint8 array of shape (x, y, z) with labels 0 to 3.
        wetness: How soaked the oedema is: float32, 0 at its border or outside to 1 beside the core.
    """

    labels: NDArray[np.uint8]
    wetness: Float


def plan_tumours(rng: np.random.Generator, anatomy: Anatomy, whole_ml: float, count: int) -> tuple[Plan, ...]:
    """Return tumours in the white matter of the hemispheres that share a volume.

    Args:
        rng: Source of randomness.
        anatomy: The healthy brain at planning resolution.
        whole_ml: Volume of all tumours together, oedema included.
        count: How many.
    """
    shares = np.sort(rng.dirichlet(np.full(count, 2.0)))[::-1]
    plans: list[Plan] = []
    for share in shares:
        radius = _radius_mm(whole_ml * float(share))
        centre = _choose_centre(rng, anatomy, radius, tuple(plan.centre_mm for plan in plans))
        plans.append(_draw_plan(rng, anatomy.lattice, centre, whole_ml * float(share)))
    return tuple(plans)


def grow(plans: tuple[Plan, ...], coarse: Anatomy, fine: Anatomy) -> Growth:
    """Return the tumours drawn on a lattice.

    Args:
        plans: The tumours.
        coarse: The brain, with the tumours' push, at planning resolution.
        fine: The same brain where the labels are wanted.
    """
    labels = np.zeros(fine.lattice.shape, np.uint8)
    wetness = np.zeros(fine.lattice.shape, np.float32)
    for plan in plans:
        _draw_core(plan, fine, labels)
        travel = coarse.lattice.interpolate(_travel_mm(plan, coarse), fine.lattice)
        _draw_oedema(plan, fine, travel, Growth(labels=labels, wetness=wetness))
    return Growth(labels=labels, wetness=wetness)


def _radius_mm(volume_ml: float) -> float:
    return float(np.cbrt(volume_ml * 1000 * 3 / (4 * np.pi)))


def _choose_centre(rng: np.random.Generator, anatomy: Anatomy, radius_mm: float, taken: tuple[Point, ...]) -> Point:
    """Return a place in hemispheric white matter, about as deep as the tumour is thick, far from the others."""
    x, y, z = anatomy.lattice.axes_mm()
    depth = ndimage.distance_transform_edt(anatomy.brain, sampling=anatomy.lattice.spacing_mm)
    lateral = np.abs(x)
    floor_mm = np.where(
        y > 0, _FRONTAL_FLOOR_MM, np.where(lateral > _TEMPORAL_MM, _TEMPORAL_FLOOR_MM, _CENTRAL_FLOOR_MM)
    )
    weight = (anatomy.white > _MOSTLY) * (z > floor_mm) * (lateral > _MIDLINE_MM)
    weight = weight * np.exp(-0.5 * ((depth - radius_mm * 0.95) / 5) ** 2)
    for other in taken:
        apart = np.sqrt((x - other[0]) ** 2 + (y - other[1]) ** 2 + (z - other[2]) ** 2)
        weight = weight * np.clip(apart / 40, 0.001, 1) ** 4
    odds = weight.ravel().astype(np.float64)
    index = np.unravel_index(rng.choice(odds.size, p=odds / odds.sum()), anatomy.lattice.shape)
    place = [float(anatomy.lattice.axis_mm(axis)[i]) for axis, i in enumerate(index)]
    return place[0], place[1], place[2]


def _draw_plan(rng: np.random.Generator, box: Lattice, centre: Point, whole_ml: float) -> Plan:
    core_ml = whole_ml * rng.uniform(0.18, 0.55)
    stretch = rng.uniform(0.75, 1.3, size=3)
    half_axes = _radius_mm(core_ml) * stretch / np.cbrt(stretch.prod())
    turn = Rotation.random(random_state=rng).as_matrix()
    radius = _radius_mm(core_ml)
    return Plan(
        centre_mm=centre,
        axes_mm=turn / half_axes[:, None],
        core_ml=core_ml,
        whole_ml=whole_ml,
        necrosis=min(float(rng.uniform(0.25, 0.75)), max(1 - _RIM_MM / radius, 0.0) ** 3),
        lumps=SmoothField.draw(rng, box, max(6.0, 0.6 * radius)),
        rim=SmoothField.draw(rng, box, max(4.0, 0.45 * radius)),
        fringe=SmoothField.draw(rng, box, 8.0),
    )


def _core_depth(plan: Plan, anatomy: Anatomy) -> Float:
    """Return a lumpy distance from the core's middle, about 1 on its surface; fluid and the outside are far."""
    offsets = [axis - np.float32(c) for axis, c in zip(anatomy.lattice.axes_mm(), plan.centre_mm, strict=True)]
    squared = np.zeros(anatomy.lattice.shape, np.float32)
    for row in plan.axes_mm.astype(np.float32):
        squared += (row[0] * offsets[0] + row[1] * offsets[1] + row[2] * offsets[2]) ** 2
    depth: Float = np.sqrt(squared) * np.exp(np.float32(0.17) * plan.lumps.on(anatomy.lattice))
    # Sulci are pushed apart by the growth, ventricles and fissures stop it: only wide fluid counts.
    wide = ndimage.gaussian_filter(anatomy.fluid, 2.5 / anatomy.lattice.spacing_mm, truncate=2.5)
    depth *= 1 + np.float32(1.5) * wide
    depth[~anatomy.brain] = np.inf
    return depth


def _draw_core(plan: Plan, anatomy: Anatomy, labels: NDArray[np.uint8]) -> None:
    depth = _core_depth(plan, anatomy)
    voxel_ml = anatomy.lattice.spacing_mm**3 / 1000
    core = _lowest(depth, plan.core_ml / voxel_ml)
    box = ndimage.find_objects(core.view(np.uint8))[0]
    inside = np.pad(core[box], 1)
    below_mm = ndimage.distance_transform_edt(inside, sampling=anatomy.lattice.spacing_mm)[1:-1, 1:-1, 1:-1]
    shallow = -below_mm * np.exp(_RIM_UNEVENNESS * plan.rim.on(anatomy.lattice)[box])
    shallow[below_mm == 0] = np.inf
    labels[core] = Label.ET
    labels[box][_lowest(shallow, plan.necrosis * np.count_nonzero(core))] = Label.NCR


def _travel_mm(plan: Plan, anatomy: Anatomy) -> Float:
    """Return how far water has to travel from the core: white matter carries it, grey slows it, fluid bars it."""
    inside = anatomy.brain & (anatomy.fluid < _MOSTLY)
    number = np.full(anatomy.brain.shape, -1)
    number[inside] = np.arange(np.count_nonzero(inside))
    slowness = np.clip(1.0 + 2.2 * anatomy.grey + 8.0 * anatomy.fluid, 1.0, None)
    graph = _neighbour_graph(number, slowness, anatomy.lattice.spacing_mm)
    depth = _core_depth(plan, anatomy)
    start = number[inside & (depth < max(1.0, float(depth[inside].min()) * 1.01))]
    times = csgraph.dijkstra(graph, directed=False, indices=start, min_only=True, limit=_FAR_MM)
    travel = np.full(anatomy.brain.shape, _FAR_MM, np.float32)
    travel[inside] = np.minimum(times, _FAR_MM)
    return travel


def _neighbour_graph(number: NDArray[np.int_], slowness: Float, spacing_mm: float) -> sparse.csr_matrix:
    rows, columns, costs = [], [], []
    for step in _SIDES + _DIAGONALS:
        here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, number.shape, strict=True))
        there = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(step, number.shape, strict=True))
        linked = (number[here] >= 0) & (number[there] >= 0)
        rows.append(number[here][linked])
        columns.append(number[there][linked])
        mean = (slowness[here][linked] + slowness[there][linked]) / 2
        costs.append(mean * spacing_mm * float(np.linalg.norm(step)))
    size = int(number.max()) + 1
    entries = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, shape=(size, size))


def _draw_oedema(plan: Plan, anatomy: Anatomy, travel: Float, growth: Growth) -> None:
    voxel_ml = anatomy.lattice.spacing_mm**3 / 1000
    effort = travel * np.exp(np.float32(0.16) * plan.fringe.on(anatomy.lattice))
    effort += 5 * anatomy.grey
    effort[~anatomy.brain | (anatomy.fluid > _MOSTLY) | (growth.labels > 0)] = np.inf
    wet = _lowest(effort, (plan.whole_ml - plan.core_ml) / voxel_ml)
    growth.labels[wet] = Label.ED
    reach = max(float(effort[wet].max(initial=0.0)), 1.0)
    np.maximum(growth.wetness, np.clip(1 - effort / reach, 0, 1), out=growth.wetness)


def _lowest(values: Float, count: float) -> NDArray[np.bool_]:
    """Return a mask of the voxels with the lowest finite values, at least one."""
    finite = np.isfinite(values)
    wanted = min(max(1, round(count)), int(np.count_nonzero(finite)))
    limit = np.partition(values[finite], wanted - 1)[wanted - 1]
    lowest: NDArray[np.bool_] = values <= limit
    return lowest
