"""Lesions drawn on a grid: core, rim and cavity, and the oedema that follows the white matter."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from tds_data.phantoms.anatomy import Anatomy
from tds_data.phantoms.exact import Float, exp, gaussian
from tds_data.phantoms.lattice import Lattice
from tds_data.phantoms.plan import Lesion, TumourKind
from tds_data.vocabulary import Label

_FAR_MM: Final = 90.0
_MOSTLY: Final = np.float32(0.5)
_RIM_UNEVENNESS: Final = np.float32(0.5)
_LEAST_RIM_MM: Final = 1.7
_MOST_ENCLOSED: Final = 0.92
_NODULES_MM: Final = np.float32(0.8)
_SIDES: Final = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_DIAGONALS: Final = ((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terrain:
    """Where lesions grow.

    Attributes:
        lattice: The grid.
        brain: Boolean array of the lattice's shape.
        grey: Grey matter fraction.
        fluid: Fraction of cerebrospinal fluid, 1 outside the brain.
    """

    lattice: Lattice
    brain: NDArray[np.bool_]
    grey: Float
    fluid: Float

    @staticmethod
    def of(anatomy: Anatomy) -> "Terrain":
        """Return the terrain of a head.

        Args:
            anatomy: Its tissues.
        """
        return Terrain(
            lattice=anatomy.lattice,
            brain=anatomy.spread(anatomy.surface_mm, 1.0) < 0,
            grey=anatomy.spread(anatomy.grey),
            fluid=anatomy.spread(anatomy.fluid, 1.0),
        )

    def part(self, slices: tuple[slice, slice, slice]) -> "Terrain":
        """Return a box of the terrain.

        Args:
            slices: Of the box.
        """
        return Terrain(
            lattice=self.lattice.part(slices),
            brain=self.brain[slices],
            grey=self.grey[slices],
            fluid=self.fluid[slices],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Growth:
    """Lesions drawn on a lattice.

    Attributes:
        labels: Uint8 array of the lattice's shape with labels 0 to 3.
        cavity: Where a resection left fluid; label 0.
        wetness: How soaked the oedema is: float32, 0 at its border or outside to 1 beside the core.
        solid: Where the non-enhancing core is living tumour instead of necrosis.
        blood: Share of old blood.
    """

    labels: NDArray[np.uint8]
    cavity: NDArray[np.bool_]
    wetness: Float
    solid: NDArray[np.bool_]
    blood: Float


def grow(lesions: tuple[Lesion, ...], coarse: Terrain, fine: Terrain) -> Growth:
    """Return lesions drawn on a lattice.

    Args:
        lesions: What grows.
        coarse: The brain, with the lesions' push, on the planning lattice.
        fine: The same brain where the labels are wanted.
    """
    shape = fine.lattice.shape
    growth = Growth(
        labels=np.zeros(shape, np.uint8),
        cavity=np.zeros(shape, np.bool_),
        wetness=np.zeros(shape, np.float32),
        solid=np.zeros(shape, np.bool_),
        blood=np.zeros(shape, np.float32),
    )
    for lesion in lesions:
        _draw_core(lesion, fine, growth)
    for lesion in lesions:
        _draw_oedema(lesion, coarse, fine, growth)
    return growth


def _draw_core(lesion: Lesion, terrain: Terrain, growth: Growth) -> None:
    slices = _around(lesion, terrain.lattice)
    part = terrain.part(slices)
    free = part.brain & (growth.labels[slices] == 0) & ~growth.cavity[slices]
    depth = _core_depth(lesion, part)
    depth[~free] = np.inf
    core = _lowest(depth, lesion.core_ml * 1000 / part.lattice.spacing_mm**3)
    labels, cavity = growth.labels[slices], growth.cavity[slices]
    if lesion.kind is TumourKind.RESECTED:
        cavity |= core
        labels[_remnant(lesion, part, core) & free & ~core] = Label.ET
        return
    labels[core] = Label.ET
    if lesion.kind is TumourKind.LOW_GRADE:
        inner = _lowest(np.where(core, -_patchy(lesion, part, depth), np.inf), (1 - lesion.necrosis) * core.sum())
        labels[core & ~(inner & (lesion.necrosis < 1))] = Label.NCR
        growth.solid[slices] |= core
    else:
        labels[_necrosis(lesion, part, core)] = Label.NCR
    bleeding = np.clip(
        2 * (lesion.nodules.on(part.lattice) + lesion.rim.on(part.lattice) - np.float32(lesion.bleeding)), 0, 1
    )
    np.maximum(growth.blood[slices], bleeding * core, out=growth.blood[slices])


def _around(lesion: Lesion, lattice: Lattice) -> tuple[slice, slice, slice]:
    """Return the box of voxels that the core may reach."""
    reach_mm = 2.6 * lesion.radius_mm + 8
    spans = []
    for centre, low, size in zip(lesion.centre_mm, lattice.low_mm, lattice.shape, strict=True):
        first = int((centre - reach_mm - low) / lattice.spacing_mm)
        last = int((centre + reach_mm - low) / lattice.spacing_mm) + 1
        spans.append(slice(min(max(first, 0), size - 1), max(min(last, size), 1)))
    return spans[0], spans[1], spans[2]


def _core_depth(lesion: Lesion, terrain: Terrain) -> Float:
    """Return a lumpy distance from the core's middle, about 1 on its surface; fluid is far."""
    lattice = terrain.lattice
    closeness = np.zeros(lattice.shape, np.float32)
    for matrix, offset in lesion.lobes:
        middle = np.add(lesion.centre_mm, offset)
        away = [axis - np.float32(c) for axis, c in zip(lattice.axes_mm(), middle, strict=True)]
        squared = np.full(lattice.shape, np.float32(1e-3))
        for row in matrix.astype(np.float32):
            along = row[0] * away[0] + row[1] * away[1] + row[2] * away[2]
            squared += along * along
        closeness += 1 / (squared * squared)
    depth: Float = np.sqrt(np.sqrt(1 / closeness))
    lumps = np.zeros(lattice.shape, np.float32)
    for field, size in lesion.lumps:
        lumps += np.float32(size) * field.on(lattice)
    depth *= exp(lumps)
    # Sulci are pushed apart by the growth, ventricles and fissures stop it: only wide fluid counts.
    sigma = 2.5 / lattice.spacing_mm
    depth *= 1 + np.float32(1.5) * gaussian(terrain.fluid, (sigma, sigma, sigma))
    return depth


def _below_mm(core: NDArray[np.bool_], spacing_mm: float) -> Float:
    inside = np.pad(core, 1)
    below = ndimage.distance_transform_edt(inside, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    return np.asarray(below, np.float32)


def _necrosis(lesion: Lesion, terrain: Terrain, core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the part of the core that a rim of uneven thickness encloses, with bridges and gaps."""
    below = _below_mm(core, terrain.lattice.spacing_mm)
    potential = below * exp(_RIM_UNEVENNESS * lesion.rim.on(terrain.lattice))
    potential += _NODULES_MM * lesion.nodules.on(terrain.lattice)
    potential[~core] = -np.inf
    enclosed = np.count_nonzero(below > np.float32(_LEAST_RIM_MM))
    return _lowest(-potential, min(lesion.necrosis * np.count_nonzero(core), _MOST_ENCLOSED * enclosed))


def _patchy(lesion: Lesion, terrain: Terrain, depth: Float) -> Float:
    """Return where a tumour of low grade enhances first: spots near its middle."""
    lattice = terrain.lattice
    spots: Float = lesion.rim.on(lattice) + np.float32(0.6) * lesion.nodules.on(lattice)
    spots -= np.float32(1.2) * np.minimum(depth, np.float32(9))
    return spots


def _remnant(lesion: Lesion, terrain: Terrain, cavity: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the enhancing tissue left in the wall of a cavity: thin, in patches, here and there a nodule."""
    outside_mm = np.asarray(ndimage.distance_transform_edt(~cavity, sampling=terrain.lattice.spacing_mm), np.float32)
    rim = lesion.rim.on(terrain.lattice)
    wall_mm = np.clip(np.float32(2.6) * (rim - np.float32(1.1 - 2 * lesion.necrosis)), 0, 7)
    wall_mm += np.float32(0.5) * lesion.nodules.on(terrain.lattice) * (wall_mm > 0)
    remnant: NDArray[np.bool_] = (outside_mm <= wall_mm) & (terrain.fluid < _MOSTLY)
    return remnant


def _draw_oedema(lesion: Lesion, coarse: Terrain, fine: Terrain, growth: Growth) -> None:
    travel = coarse.lattice.interpolate(_travel_mm(lesion, coarse), fine.lattice)
    fray = np.zeros(fine.lattice.shape, np.float32)
    for field, size in lesion.fringe:
        fray += np.float32(size) * field.on(fine.lattice)
    effort = travel * exp(fray)
    effort += np.float32(9) * fine.grey
    effort[~fine.brain | (fine.fluid > _MOSTLY) | (growth.labels > 0) | growth.cavity] = np.inf
    wet = _lowest(effort, lesion.oedema_ml * 1000 / fine.lattice.spacing_mm**3)
    growth.labels[wet] = Label.ED
    reach = np.float32(max(float(effort[wet].max(initial=0.0)), 1.0))
    np.maximum(growth.wetness, np.clip(1 - effort / reach, 0, 1), out=growth.wetness)


def _travel_mm(lesion: Lesion, terrain: Terrain) -> Float:
    """Return how far water has to travel from the core: white matter carries it, grey slows it, fluid bars it."""
    inside = terrain.brain & (terrain.fluid < _MOSTLY)
    number = np.full(terrain.brain.shape, -1)
    number[inside] = np.arange(np.count_nonzero(inside))
    slowness = np.clip(1 + np.float32(4.5) * terrain.grey + np.float32(8) * terrain.fluid, 1, None)
    graph = _neighbour_graph(number, slowness, terrain.lattice.spacing_mm)
    depth = _core_depth(lesion, terrain)
    start = number[inside & (depth < max(1.0, float(depth[inside].min()) * 1.01))]
    times = csgraph.dijkstra(graph, directed=False, indices=start, min_only=True, limit=_FAR_MM)
    travel = np.full(terrain.brain.shape, _FAR_MM, np.float32)
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
        length = spacing_mm * (1.0 if sum(map(abs, step)) == 1 else 1.4142)
        costs.append(np.rint(mean.astype(np.float64) * length * 4096) / 4096)  # sums of these are exact
    size = int(number.max()) + 1
    entries = (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.csr_matrix(entries, shape=(size, size))


def _lowest(values: Float, count: float) -> NDArray[np.bool_]:
    """Return a mask of the voxels with the lowest finite values."""
    finite = np.isfinite(values)
    wanted = min(round(count), int(np.count_nonzero(finite)))
    if wanted < 1:
        return np.zeros(values.shape, np.bool_)
    limit = np.partition(values[finite], wanted - 1)[wanted - 1]
    lowest: NDArray[np.bool_] = values <= limit
    return lowest
