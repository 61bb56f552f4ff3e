"""Faults to plant into copies of cases: each function takes a case and returns another one, broken in one known way.

Directions are RAS+ whatever the order of the voxels, sizes are millimetres, randomness comes from a seed. `FAULTS`
names each with the code that has to be found and the strengths to try.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data import Case, Modality, Volume, from_canonical, to_canonical
from tds_data.preprocess import background

T1, T1CE, T2, FLAIR = Modality
Voxels = NDArray[np.generic]
Change = Callable[[Volume], Voxels]
"""From a volume in RAS order to its new voxels of the same shape."""


def changed(case: Case, change: Change, *modalities: Modality) -> Case:
    """Return the case with some sequences' voxels replaced; all of them if none is named."""
    images = dict(case.images)
    for modality in modalities or case.modalities:
        images[modality] = _apply(case.images[modality], change)
    return Case(name=case.name, images=images, reference=case.reference)


def _apply(volume: Volume, change: Change) -> Volume:
    canonical = to_canonical(volume)
    voxels = np.asarray(change(canonical))
    if voxels.dtype != volume.voxels.dtype and volume.voxels.dtype.kind in "iu":
        limits = np.iinfo(volume.voxels.dtype)
        voxels = np.clip(np.rint(voxels), limits.min, limits.max)
    return volume.with_voxels(from_canonical(voxels.astype(volume.voxels.dtype), volume))


def _foreground(volume: Volume) -> NDArray[np.bool_]:
    return np.asarray(volume.voxels != background(volume.voxels))


def _masked(volume: Volume, voxels: Voxels, *, least: float = 1.0) -> Voxels:
    """Keep the old background, and the foreground off it, as stripping after the fault would."""
    inside = _foreground(volume)
    return np.where(inside, np.maximum(voxels, least) if volume.voxels.min() >= 0 else voxels, volume.voxels)


# -- left and right ----------------------------------------------------------------------------------------------------


def mirror_study(case: Case) -> Case:
    """Everything, mask included, with left and right swapped."""
    mirrored = mirror_sequence(case, *case.modalities)
    return mirror_reference(mirrored) if case.reference is not None else mirrored


def mirror_sequence(case: Case, *modalities: Modality) -> Case:
    """Some sequences with left and right swapped."""
    return changed(case, lambda v: v.voxels[::-1], *modalities)


def mirror_reference(case: Case) -> Case:
    """The mask with left and right swapped against its images."""
    if case.reference is None:
        raise ValueError("the case has no mask to mirror")
    return Case(name=case.name, images=case.images, reference=_apply(case.reference, lambda v: v.voxels[::-1]))


# -- registration ------------------------------------------------------------------------------------------------------


def shift(case: Case, modality: Modality, mm: tuple[float, float, float]) -> Case:
    """One sequence moved."""
    return changed(case, lambda v: _moved(v, np.eye(3), np.array(mm)), modality)


def rotate(case: Case, modality: Modality, degrees: float, axis: int = 2) -> Case:
    """One sequence turned about the middle of its foreground."""
    return changed(case, lambda v: _moved(v, _rotation(degrees, axis), np.zeros(3)), modality)


def _rotation(degrees: float, axis: int) -> NDArray[np.float64]:
    a, b = (i for i in range(3) if i != axis)
    matrix = np.eye(3)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = cosine, -sine, sine, cosine
    return matrix


def _moved(volume: Volume, rotation: NDArray[np.float64], mm: NDArray[np.float64]) -> Voxels:
    spacing = np.array(volume.spacing_mm)
    centre = np.array(ndimage.center_of_mass(_foreground(volume)))
    matrix = np.diag(1 / spacing) @ rotation @ np.diag(spacing)
    offset = centre - matrix @ (centre + mm / spacing)
    empty = float(background(volume.voxels))
    image = volume.voxels.astype(np.float32) - np.float32(empty)
    return np.asarray(ndimage.affine_transform(image, matrix, offset, order=1) + np.float32(empty))


# -- intensities -------------------------------------------------------------------------------------------------------


def bias(case: Case, strength: float, *modalities: Modality) -> Case:
    """Brightness that drifts: `strength` is the largest change against the middle, 0.5 for half as much again."""

    def change(volume: Volume) -> Voxels:
        inside = np.argwhere(_foreground(volume))
        low, high = inside.min(axis=0), inside.max(axis=0)
        x, y, z = np.ogrid[tuple(slice(0, n) for n in volume.shape)]
        u, v, w = ((a - first) / (last - first) * 2 - 1 for a, first, last in zip((x, y, z), low, high, strict=True))
        field = 0.5 * u - 0.6 * v + 0.3 * w + 0.4 * u * v
        field = field / np.abs(field[_foreground(volume)]).max()
        return _masked(volume, volume.voxels * np.exp(np.log1p(strength) * field))

    return changed(case, change, *modalities)


def noise(case: Case, share: float, *modalities: Modality, seed: int = 0) -> Case:
    """Rician noise whose standard deviation is a share of the median of the foreground."""

    def change(volume: Volume) -> Voxels:
        rng = np.random.default_rng(seed)
        sigma = share * float(np.median(volume.voxels[_foreground(volume)]))
        real, imaginary = (sigma * rng.standard_normal(volume.shape) for _ in range(2))
        return _masked(volume, np.hypot(volume.voxels + real, imaginary))

    return changed(case, change, *modalities)


def ghost(case: Case, strength: float, *modalities: Modality, axis: int = 1, copies: int = 3) -> Case:
    """Faint copies along one axis, as from a movement that repeats: `strength` is a copy's brightness."""

    def change(volume: Volume) -> Voxels:
        spectrum = np.fft.fft(volume.voxels.astype(np.float64), axis=axis)
        lines = np.arange(volume.shape[axis])
        wave = 1 + 2j * strength * np.sin(2 * np.pi * lines * copies / volume.shape[axis] * _REPEATS)
        shape = [-1 if a == axis else 1 for a in range(3)]
        return _masked(volume, np.abs(np.fft.ifft(spectrum * wave.reshape(shape), axis=axis)))

    return changed(case, change, *modalities)


_REPEATS = 7


def motion(case: Case, strength: float, *modalities: Modality, axis: int = 1, seed: int = 0) -> Case:
    """A head that moves while the lines are read: `strength` is the spread of its positions in mm and degrees."""

    def change(volume: Volume) -> Voxels:
        rng = np.random.default_rng(seed)
        image = volume.voxels.astype(np.float32)
        spectrum = np.fft.fft(image, axis=axis)
        order = np.abs(np.fft.fftfreq(volume.shape[axis]))
        cuts = np.sort(rng.uniform(0.02, 0.3, size=4))
        poses = [np.digitize(order, cuts) == pose for pose in range(5)]
        for lines in poses[1:]:
            turn = _rotation(float(rng.normal(0, strength)), 2)
            moved = np.fft.fft(_moved(volume, turn, rng.normal(0, strength, 3)), axis=axis)
            chosen = tuple(lines if a == axis else slice(None) for a in range(3))
            spectrum[chosen] = moved[chosen]
        return _masked(volume, np.abs(np.fft.ifft(spectrum, axis=axis)))

    return changed(case, change, *modalities)


def no_contrast(case: Case, *, seed: int = 0) -> Case:
    """A second T1 in the place of the T1ce: other noise, gain and drift, and no contrast agent."""
    second = bias(noise(case, 0.03, T1, seed=seed), 0.15, T1).images[T1]
    voxels = from_canonical(to_canonical(second).voxels * 1.7, second)
    kind = case.images[T1CE].voxels.dtype
    return Case(
        name=case.name, images={**case.images, T1CE: second.with_voxels(voxels.astype(kind))}, reference=case.reference
    )


def swap(case: Case, first: Modality, second: Modality) -> Case:
    """Two sequences under each other's names."""
    images = {**case.images, first: case.images[second], second: case.images[first]}
    return Case(name=case.name, images=images, reference=case.reference)


# -- what is in the picture --------------------------------------------------------------------------------------------


def skull(case: Case, *modalities: Modality, noisy: bool = False) -> Case:
    """Fluid, dark bone and bright scalp around the brain; with noise in the air if `noisy`."""
    layers = _scalp(to_canonical(case.grid))

    def change(volume: Volume) -> Voxels:
        inside = _foreground(volume)
        median = float(np.median(volume.voxels[inside]))
        rng = np.random.default_rng(0)
        head = layers * np.float32(median) * rng.uniform(0.8, 1.2, volume.shape).astype(np.float32)
        if noisy:
            head = np.maximum(head, np.abs(0.02 * median * rng.standard_normal(volume.shape, np.float32)))
        return np.where(inside, volume.voxels, head)

    return changed(case, change, *modalities)


def _scalp(volume: Volume) -> NDArray[np.float32]:
    """Return the brightness around a brain against the brain's median, up to 15 mm from it."""
    inside = ndimage.binary_fill_holes(_foreground(volume))
    margins = [int(np.ceil(16 / s)) for s in volume.spacing_mm]
    box = tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part, margin in zip(ndimage.find_objects(inside.astype(np.int8))[0], margins, strict=True)
    )
    outside_mm = np.full(volume.shape, 99.0, np.float32)
    outside_mm[box] = ndimage.distance_transform_edt(~inside[box], sampling=volume.spacing_mm)
    return np.interp(outside_mm, [0, 2, 3, 8, 9, 14, 15], [0.3, 0.3, 0.1, 0.1, 1.6, 1.6, 0]).astype(np.float32)


def cut_off(case: Case, mm: float, axis: int = 2, *, upper: bool = True, blank: bool = False) -> Case:
    """A field of view that ends inside the brain: `mm` of it are lost; blank slices instead with `blank`."""
    first = to_canonical(case.grid)
    hits = np.flatnonzero(_foreground(first).any(axis=tuple(a for a in range(3) if a != axis)))
    lost = round(mm / first.spacing_mm[axis])
    keep = slice(0, int(hits[-1]) + 1 - lost) if upper else slice(int(hits[0]) + lost, first.shape[axis])

    def cropped(volume: Volume) -> Volume:
        canonical = to_canonical(volume)
        chosen = tuple(keep if a == axis else slice(None) for a in range(3))
        if blank:
            voxels = np.full_like(canonical.voxels, background(canonical.voxels))
            voxels[chosen] = canonical.voxels[chosen]
            return Volume(voxels, canonical.ras_from_voxel)
        affine = canonical.ras_from_voxel.copy()
        affine[:3, 3] += affine[:3, axis] * keep.start
        return Volume(canonical.voxels[chosen], affine)

    reference = None if case.reference is None else cropped(case.reference)
    return Case(name=case.name, images={m: cropped(v) for m, v in case.images.items()}, reference=reference)


def _painted(case: Case, picture: Callable[[NDArray[np.float64], np.random.Generator], Voxels]) -> Case:
    """Return a case whose sequences are painted: a function of millimetres about the middle of the grid."""
    grid = to_canonical(case.grid)
    indices = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in grid.shape], indexing="ij"), axis=-1)
    places = indices * grid.spacing_mm

    def change(modality: Modality, volume: Volume) -> Volume:
        rng = np.random.default_rng(list(Modality).index(modality))
        return _apply(volume, lambda v: 600 * picture(places, rng) * np.ones(v.shape))

    return Case(name=case.name, images={m: change(m, v) for m, v in case.images.items()})


def sphere(case: Case, radius_mm: float = 68.0) -> Case:
    """A ball of gel."""
    return _painted(
        case,
        lambda p, rng: (np.linalg.norm(p, axis=-1) < radius_mm) * rng.normal(1, 0.03, p.shape[:3]).clip(0.1),
    )


def bottle(case: Case) -> Case:
    """A phantom for calibration: a cylinder with rods."""

    def picture(p: NDArray[np.float64], rng: np.random.Generator) -> Voxels:
        x, y, z = np.moveaxis(p, -1, 0)
        body = (np.hypot(x, y) < 70) & (np.abs(z) < 60)
        rods = (np.abs(np.hypot(x, y) - 40) < 8) & (np.sin(6 * np.arctan2(y, x)) > 0.3)
        return body * np.where(rods, 0.5, 1.0) * rng.normal(1, 0.03, p.shape[:3]).clip(0.1)

    return _painted(case, picture)


def abdomen(case: Case) -> Case:
    """A trunk: a wide oval of fat with organs and a spine."""

    def picture(p: NDArray[np.float64], rng: np.random.Generator) -> Voxels:
        x, y, _ = np.moveaxis(p, -1, 0)
        trunk = (x / 112) ** 2 + (y / 85) ** 2 < 1
        inner = (x / 98) ** 2 + (y / 70) ** 2 < 1
        liver = ((x + 45) / 42) ** 2 + ((y - 5) / 45) ** 2 < 1
        spine = np.hypot(x, y + 45) < 18
        value = np.where(inner, np.where(liver, 0.9, 0.5), 1.5)
        return trunk * np.where(spine, 0.8, value) * rng.normal(1, 0.05, p.shape[:3]).clip(0.1)

    return _painted(case, picture)


def pure_noise(case: Case) -> Case:
    """No object at all: the noise of the receiver."""
    return _painted(case, lambda p, rng: np.abs(rng.normal(0, 0.2, p.shape[:3])))


def noise_brain(case: Case) -> Case:
    """A brain's outline filled with noise."""

    def change(volume: Volume) -> Voxels:
        rng = np.random.default_rng(int(volume.voxels.max()))
        return _masked(volume, rng.normal(600, 60, volume.shape))

    return changed(case, change)


# -- the list ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault to plant.

    Attributes:
        code: The finding that names it.
        plant: By strength, as shown in tables: from a case to a broken one.
        error: Whether the finding has to be of level error.
    """

    code: str
    plant: Mapping[str, Callable[[Case], Case]]
    error: bool = False


def _for_each(plant: Callable[..., Case], *modalities: Modality) -> dict[str, Callable[[Case], Case]]:
    return {m.value: partial(_with, plant, m) for m in modalities or Modality}


def _with(plant: Callable[..., Case], modality: Modality, case: Case) -> Case:
    return plant(case, modality)


def _at(plant: Callable[..., Case], *arguments: object, **named: object) -> Callable[[Case], Case]:
    return lambda case: plant(case, *arguments, **named)


FAULTS: Mapping[str, Fault] = {
    "study mirrored": Fault(code="FLIPPED-LEFT-RIGHT", plant={"all": mirror_study}),
    "sequence mirrored": Fault(code="FLIPPED-LEFT-RIGHT", plant=_for_each(mirror_sequence)),
    "mask mirrored": Fault(code="FLIPPED-LEFT-RIGHT", plant={"mask": mirror_reference}),
    "sequence shifted": Fault(
        code="MISREGISTERED",
        plant={
            "t1 3 mm x": _at(shift, T1, (3, 0, 0)),
            "t1ce 3 mm y": _at(shift, T1CE, (0, 3, 0)),
            "t2 3 mm z": _at(shift, T2, (0, 0, 3)),
            "flair 5 mm": _at(shift, FLAIR, (3, -4, 0)),
            "flair 10 mm": _at(shift, FLAIR, (0, 8, 6)),
        },
    ),
    "sequence turned": Fault(
        code="MISREGISTERED",
        plant={
            "t1 3 deg z": _at(rotate, T1, 3.0, 2),
            "t2 4 deg x": _at(rotate, T2, 4.0, 0),
            "flair 6 deg y": _at(rotate, FLAIR, 6.0, 1),
        },
    ),
    "contrast missing": Fault(code="T1CE-WITHOUT-CONTRAST", plant={"second t1": no_contrast}),
    "sequences swapped": Fault(
        code="SEQUENCE-SWAPPED",
        plant={
            "t1 and t2": _at(swap, T1, T2),
            "t1 and flair": _at(swap, T1, FLAIR),
            "t2 and flair": _at(swap, T2, FLAIR),
        },
    ),
    "bias": Fault(
        code="STRONG-BIAS",
        plant={f"{m.value} {strength:.0%}": _at(bias, strength, m) for m in (T1, T2) for strength in (0.7, 1.0, 1.5)},
    ),
    "noise": Fault(
        code="LOW-SNR",
        plant={f"{m.value} {share:.0%}": _at(noise, share, m) for m in (T1, FLAIR) for share in (0.1, 0.15, 0.25)},
    ),
    "ghost": Fault(
        code="MOTION",
        plant={
            f"{m.value} {strength:.0%}": _at(ghost, strength, m)
            for m in (T1CE, FLAIR)
            for strength in (0.1, 0.15, 0.25)
        },
    ),
    "motion": Fault(
        code="MOTION",
        plant={f"{m.value} {mm:g} mm": _at(motion, mm, m) for m in (T1, FLAIR) for mm in (1.5, 3.0, 5.0)},
    ),
    "skull": Fault(
        code="SKULL-PRESENT",
        plant={"all": skull, "noisy air": _at(skull, noisy=True), "t2": _at(skull, T2)},
        error=True,
    ),
    "cut off": Fault(
        code="PARTIAL-COVERAGE",
        plant={
            "top 30 mm": _at(cut_off, 30.0),
            "top blank 30 mm": _at(cut_off, 30.0, blank=True),
            "bottom 50 mm": _at(cut_off, 50.0, upper=False),
            "right 25 mm": _at(cut_off, 25.0, axis=0),
        },
    ),
    "not a brain": Fault(
        code="NOT-A-BRAIN",
        plant={
            "ball": sphere,
            "bottle": bottle,
            "abdomen": abdomen,
            "noise": pure_noise,
            "brain of noise": noise_brain,
        },
        error=True,
    ),
}
"""Every fault by its name."""

CERTAIN: Mapping[str, str] = {
    "study mirrored": "all",
    "sequence mirrored": "flair",
    "mask mirrored": "mask",
    "sequence shifted": "t1ce 3 mm y",
    "sequence turned": "t1 3 deg z",
    "contrast missing": "second t1",
    "sequences swapped": "t1 and t2",
    "bias": "t2 150%",
    "noise": "t1 10%",
    "ghost": "t1ce 10%",
    "motion": "t1 3 mm",
    "skull": "all",
    "cut off": "top 30 mm",
    "not a brain": "brain of noise",
}
"""The strength of each fault that has to be named in every patient; a mirrored study is not certain, but most are."""
