"""Studies for the geometry contract: any orientation, mirroring, order and spacing, and lesions of any shape.

Each voxel of the image holds its own number. Whoever reads the image therefore knows which voxel it has, wherever it
believes that it lies, and the truth about a place never goes through the code that is tested.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tds_data.report import Lesion, LesionReport, ModelIdentity
from tds_data.vocabulary import REGION_LABELS, REGIONS, Label, Modality
from tds_data.volume import Volume

MODEL: Final = ModelIdentity(name="contract", version="1", sha256="cd" * 32, architecture="SegResNet", licence="MIT")
Mask = NDArray[np.bool_]


class Storage(StrEnum):
    """How a series is stored."""

    CLASSIC = "classic"
    ENHANCED = "enhanced"
    LEGACY = "legacy converted"
    MOSAIC = "mosaic"


@dataclass(frozen=True, kw_only=True, eq=False)
class ContractCase:
    """A study with its truth.

    Attributes:
        labels: Labels 0 to 3 on the grid that the study is written on.
        ras_from_voxel: Its affine.
        reverse_slices: Whether Instance Number falls along the third axis.
        shuffle: Whether file names are in no spatial order.
        own_geometry: Whether the writers are to believe that the series was resampled.
        storage: How it is stored.
        geometry_per_frame: Whether an enhanced image says its orientation and spacing of each frame.
    """

    labels: NDArray[np.uint8]
    ras_from_voxel: NDArray[np.float64]
    reverse_slices: bool = False
    shuffle: bool = True
    own_geometry: bool = False
    storage: Storage = Storage.CLASSIC
    geometry_per_frame: bool = False

    @property
    def image(self) -> Volume:
        """The image: each voxel holds its index in C order."""
        return Volume(np.arange(self.labels.size, dtype=np.uint16).reshape(self.labels.shape), self.ras_from_voxel)

    @cached_property
    def lesions(self) -> NDArray[np.int32]:
        """Number of the lesion of each voxel."""
        return np.asarray(ndimage.label(self.labels != 0, structure=np.ones((3, 3, 3)))[0])

    def places(self, where: Mask) -> NDArray[np.float64]:
        """Return where voxels lie, shape (n, 3), RAS+ millimetres."""
        return np.argwhere(where) @ self.ras_from_voxel[:3, :3].T + self.ras_from_voxel[:3, 3]

    def report(self) -> LesionReport:
        """Return what a perfect program reports."""
        lesions = tuple(self._lesion(number) for number in range(1, int(self.lesions.max()) + 1))
        totals = {region: sum(lesion.volume_ml[region] for lesion in lesions) for region in REGIONS}
        return LesionReport(
            case="contract", modalities=(Modality.T1,), lesions=lesions, volume_ml=totals, quality=(), model=MODEL
        )

    def _lesion(self, number: int) -> Lesion:
        where = self.lesions == number
        places = self.places(where)
        low, high, centre = (
            (float(x), float(y), float(z)) for x, y, z in (places.min(0), places.max(0), places.mean(0))
        )
        ml = abs(float(np.linalg.det(self.ras_from_voxel[:3, :3]))) / 1000
        volumes = {r: float(np.isin(self.labels[where], list(REGION_LABELS[r])).sum()) * ml for r in REGIONS}
        return Lesion(
            number=number,
            centroid_mm=centre,
            bounding_box_mm=(low, high),
            longest_diameter_mm=float(np.linalg.norm(np.subtract(high, low))),
            volume_ml=volumes,
        )


@st.composite
def turns(draw: st.DrawFn) -> NDArray[np.float64]:
    """Axial, coronal or sagittal exactly, or any rotation; columns permuted and mirrored."""
    turn = np.eye(3)
    if draw(st.booleans()):
        quaternion = np.array([draw(st.floats(-1, 1)) for _ in range(4)])
        if np.linalg.norm(quaternion) > 0.1:
            w, x, y, z = quaternion / np.linalg.norm(quaternion)
            turn = np.array(
                [
                    [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                    [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                    [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
                ]
            )
    signs = [draw(st.sampled_from((-1.0, 1.0))) for _ in range(3)]
    return np.asarray(turn[:, draw(st.permutations(range(3)))] * signs)


@st.composite
def contract_cases(
    draw: st.DrawFn, shapes: Sequence[str] | None = None, storages: Sequence[Storage] = (Storage.CLASSIC,)
) -> ContractCase:
    """Any study that the contract speaks of, with lesions of these shapes, by default of any, stored in these ways."""
    shape = (draw(st.integers(3, 16)), draw(st.integers(3, 16)), draw(st.integers(2, 10)))
    affine = np.eye(4)
    affine[:3, :3] = draw(turns()) * [draw(st.floats(0.3, 6.0)) for _ in range(3)]
    affine[:3, 3] = [draw(st.floats(-250, 250)) for _ in range(3)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.zeros(shape, np.uint8)
    for name in draw(st.lists(st.sampled_from(shapes or sorted(SHAPES)), min_size=1, max_size=3)):
        where = SHAPES[name](shape, rng)
        labels[where] = LABELLINGS[draw(st.sampled_from(sorted(LABELLINGS)))](where, rng)
    return ContractCase(
        labels=labels,
        ras_from_voxel=affine,
        reverse_slices=draw(st.booleans()),
        shuffle=draw(st.booleans()),
        own_geometry=draw(st.integers(0, 3)) == 0,
        storage=draw(st.sampled_from(storages)),
        geometry_per_frame=draw(st.booleans()),
    )


def _ball(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    centre = rng.uniform(0, np.array(shape) - 1)
    radii = rng.uniform(0.6, np.maximum(np.array(shape) / 3, 0.7))
    offsets = (np.indices(shape) - centre.reshape(3, 1, 1, 1)) / radii.reshape(3, 1, 1, 1)
    ball = (offsets**2).sum(axis=0) <= 1
    ball[tuple(np.rint(centre).astype(int))] = True
    return np.asarray(ball)


def _voxel(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    voxel = np.zeros(shape, bool)
    voxel[tuple(rng.integers(0, shape))] = True
    return voxel


def _corner(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """A box in one of the volume's corners, at its borders on three sides."""
    box = np.zeros(shape, bool)
    box[tuple(slice(0, int(n)) for n in rng.integers(1, np.maximum(np.array(shape) // 2, 2)))] = True
    return np.flip(box, [axis for axis in range(3) if rng.random() < 0.5])


def _ring(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """A frame in one slice around a hole."""
    ring = np.zeros(shape, bool)
    index = int(rng.integers(0, shape[2]))
    ring[:, :, index] = True
    ring[1:-1, 1:-1, index] = False
    return ring


def _shell(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    ball = _ball(shape, rng)
    return np.asarray(ball & ~ndimage.binary_erosion(ball))


def _diagonal(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Voxels that touch by their corners alone."""
    line = np.zeros(shape, bool)
    steps = np.arange(min(shape))
    line[steps, steps, steps] = True
    return np.flip(line, [axis for axis in range(3) if rng.random() < 0.5])


def _speckle(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    speckle = rng.random(shape) < 0.08
    speckle[tuple(rng.integers(0, shape))] = True
    return np.asarray(speckle)


def _everything(shape: tuple[int, ...], _rng: np.random.Generator) -> Mask:
    return np.ones(shape, bool)


SHAPES: Final[dict[str, Callable[[tuple[int, ...], np.random.Generator], Mask]]] = {
    "ball": _ball,
    "voxel": _voxel,
    "corner": _corner,
    "ring": _ring,
    "shell": _shell,
    "diagonal": _diagonal,
    "speckle": _speckle,
    "everything": _everything,
}


def _one(where: Mask, rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.full(int(where.sum()), rng.integers(1, 4), np.uint8)


def _layers(where: Mask, _rng: np.random.Generator) -> NDArray[np.uint8]:
    """Oedema around enhancement around necrosis."""
    depths = ndimage.distance_transform_cdt(np.pad(where, 1))[1:-1, 1:-1, 1:-1][where]
    return np.array([Label.ED, Label.ET, Label.NCR], np.uint8)[np.minimum(depths - 1, 2)]


def _mixed(where: Mask, rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(1, 4, int(where.sum())).astype(np.uint8)


LABELLINGS: Final[dict[str, Callable[[Mask, np.random.Generator], NDArray[np.uint8]]]] = {
    "one": _one,
    "layers": _layers,
    "mixed": _mixed,
}
