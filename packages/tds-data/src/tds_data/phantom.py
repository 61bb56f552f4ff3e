"""Phantom patients: a made-up glioma in a made-up brain, as four registered skull-stripped sequences with the truth.

The brain is the ICBM152 template (extra `phantom`) bent into an individual; the tumour has a necrotic core, an
enhancing rim of uneven thickness and oedema that follows the white matter; sequences come from relaxation times
through signal equations, a bias field, blur and Rician noise (Gudbjartsson and Patz 1995). Phantoms are for tests,
demonstrations and pre-training. A figure measured on one says nothing about patients.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data._phantom_anatomy import Anatomy, build_anatomy, draw_shape, load_template, template_folder
from tds_data._phantom_fields import Float, SmoothField
from tds_data._phantom_signal import Tissue, draw_signals, draw_tissues
from tds_data._phantom_tumour import PLANNING_MM, Growth, grow, plan_tumours
from tds_data.case import Case
from tds_data.errors import VoxelError
from tds_data.geometry import Box, bounding_box
from tds_data.vocabulary import MODALITIES, Label, Modality
from tds_data.volume import Volume

_SPACING_MM: Final = (0.5, 4.0)
_MAX_TUMOURS: Final = 5
_MAX_NOISE: Final = 0.2
_MAX_BIAS: Final = 0.5
_WHOLE_ML: Final = (10.0, 120.0)
_MARGIN_VOXELS: Final = 3
_UNEVENNESS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomConfig:
    """What phantom to make.

    Attributes:
        seed: Which patient: the same seed is the same person and tumour at every spacing.
        spacing_mm: Edge of the cubic voxels, 0.5 to 4 mm.
        modalities: The sequences wanted; each looks the same whichever others are made.
        tumours: How many tumours share the tumour volume, 0 to 5.
        noise: Standard deviation of the noise as a share of the mean brightness, 0 to 0.2.
        bias: How much the bias field changes the brightness (its standard deviation), 0 to 0.5.

    Raises:
        VoxelError: If a value is out of range or no sequence is wanted.
    """

    seed: int
    spacing_mm: float = 1.0
    modalities: tuple[Modality, ...] = MODALITIES
    tumours: int = 1
    noise: float = 0.02
    bias: float = 0.08

    def __post_init__(self) -> None:
        ranges = {
            "seed": (self.seed, 0, 2**63),
            "spacing_mm": (self.spacing_mm, *_SPACING_MM),
            "tumours": (self.tumours, 0, _MAX_TUMOURS),
            "noise": (self.noise, 0, _MAX_NOISE),
            "bias": (self.bias, 0, _MAX_BIAS),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                message = f"a phantom's {name} lies between {low} and {high}; {value} was given"
                raise VoxelError(message)
        if not self.modalities:
            raise VoxelError("a phantom needs at least one sequence; none was given: name one of t1, t1ce, t2, flair")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Body:
    """What there is to be scanned: fractions per tissue over the lattice, and what varies within tissues."""

    anatomy: Anatomy
    growth: Growth
    tissues: dict[str, Tissue]
    box: Box | None
    mix: dict[str, Float]
    vessel: Float
    texture: Float


def make_phantom(config: PhantomConfig) -> Case:
    """Return a phantom patient with its reference mask.

    Args:
        config: What to make.

    Returns:
        A case named after its seed. Images are int16 with a background of exactly 0 and at least 1 inside the brain;
        the mask is uint8 with labels 0 to 3. The grid is axis-aligned RAS+, cropped to the brain and a margin. On one
        machine and one set of library versions the same config gives the same voxels.

    Raises:
        MissingDependency: If nilearn, which ships the anatomy, is not installed.
    """
    template = load_template(template_folder())
    person, tumour, body_rng, *scanners = np.random.Generator(np.random.PCG64(config.seed)).spawn(3 + len(MODALITIES))
    shape = draw_shape(person, template.box)
    planning = template.box.at_spacing(PLANNING_MM)
    whole_ml = float(np.exp(tumour.uniform(*np.log(_WHOLE_ML))))
    healthy = build_anatomy(template, shape, planning)
    plans = plan_tumours(tumour, healthy, whole_ml, config.tumours) if config.tumours else ()
    masses = tuple(plan.mass for plan in plans)
    anatomy = build_anatomy(template, shape, template.box.at_spacing(config.spacing_mm), masses)
    growth = grow(plans, build_anatomy(template, shape, planning, masses), anatomy)
    body = _assemble(body_rng, anatomy, growth)
    images = {
        modality: Volume(_scan(scanners[index], body, modality, config), anatomy.lattice.ras_from_voxel)
        for index, modality in enumerate(MODALITIES)
        if modality in config.modalities
    }
    reference = Volume(growth.labels, anatomy.lattice.ras_from_voxel)
    return Case(name=f"phantom-{config.seed:04d}", images=images, reference=reference)


def _assemble(rng: np.random.Generator, anatomy: Anatomy, growth: Growth) -> _Body:
    """Add what the labels do not hold: soft borders, vessels and texture."""
    box = _padded_box(growth.labels > 0)
    mix = _soften(growth, box, anatomy.lattice.spacing_mm) if box else {}
    return _Body(
        anatomy=anatomy,
        growth=growth,
        tissues=draw_tissues(rng),
        box=box,
        mix=mix,
        vessel=_vessels(rng, anatomy),
        texture=SmoothField.draw(rng, anatomy.lattice, 4.5).on(anatomy.lattice),
    )


def _padded_box(mask: NDArray[np.bool_]) -> Box | None:
    box = bounding_box(mask)
    if box is None:
        return None
    x, y, z = (max(0, a - _MARGIN_VOXELS) for a in box.start)
    u, v, w = (min(n, b + _MARGIN_VOXELS) for b, n in zip(box.stop, mask.shape, strict=True))
    return Box(start=(x, y, z), stop=(u, v, w))


def _soften(growth: Growth, box: Box, spacing_mm: float) -> dict[str, Float]:
    """Return tumour fractions inside the box: partial volumes at borders, oedema that fades outwards."""
    labels = growth.labels[box.slices]
    wetness = growth.wetness[box.slices]
    soaked = (labels == Label.ED) * (0.45 + 0.55 * np.sqrt(wetness))
    blurs = {
        "necrosis": (labels == Label.NCR, 0.7),
        "rim": (labels == Label.ET, 0.7),
        "oedema": (soaked, 1.1),
    }
    return {
        name: ndimage.gaussian_filter(part.astype(np.float32), sigma_mm / spacing_mm, truncate=3.0)
        for name, (part, sigma_mm) in blurs.items()
    }


def _vessels(rng: np.random.Generator, anatomy: Anatomy) -> Float:
    """Return the share of vessels and dura: patches in the sulci and a sinus along the upper midline."""
    x, y, z = anatomy.lattice.axes_mm()
    patches = SmoothField.draw(rng, anatomy.lattice, 5.0).on(anatomy.lattice)
    sinus = np.exp(-((x / 5) ** 2)) * ((z > 30) | (y < -60))  # noqa: PLR2004 - where the sagittal sinus runs
    share = np.clip(1.2 * (patches - 0.7), 0, 1) + sinus.astype(np.float32)
    vessel: Float = np.clip(share, 0, 1) * anatomy.fluid * anatomy.brain
    return vessel


def _scan(rng: np.random.Generator, body: _Body, modality: Modality, config: PhantomConfig) -> NDArray[np.int16]:
    signals = draw_signals(rng, body.tissues, modality)
    brain, lattice = body.anatomy.brain, body.anatomy.lattice
    image = _healthy(body, signals)
    _add_growth(rng, body, signals, image)
    sigma_mm = rng.uniform(0.35, 0.65)
    image = ndimage.gaussian_filter(image, sigma_mm / lattice.spacing_mm, truncate=3.0)
    image *= np.exp(np.float32(config.bias) * SmoothField.draw(rng, lattice, 60.0).on(lattice))
    gain = np.exp(rng.normal(np.log(600), 0.35)) / float(image[brain].mean())
    return _digitise(rng, image, brain, gain, config.noise)


def _healthy(body: _Body, signals: dict[str, float]) -> Float:
    anatomy = body.anatomy
    image = np.float32(signals["white"]) * anatomy.white
    image += np.float32(signals["grey"]) * anatomy.grey
    image += np.float32(signals["fluid"]) * anatomy.fluid
    image += np.float32(signals["vessel"] - signals["fluid"]) * body.vessel
    contrast = signals["white"] - signals["grey"]
    image += np.float32(0.25 * contrast) * body.texture * (1 - anatomy.fluid)
    return image


def _add_growth(rng: np.random.Generator, body: _Body, signals: dict[str, float], image: Float) -> None:
    """Replace tissue by tumour inside the box, unevenly, in place."""
    if body.box is None:
        return
    slices = body.box.slices
    uneven = SmoothField.draw(rng, body.anatomy.lattice, 6.0).on(body.anatomy.lattice)[slices]
    inside = image[slices]
    inside *= 1 - sum(body.mix.values())
    for name, share in body.mix.items():
        contrast = signals[name] - signals["white"]
        inside += share * (np.float32(signals[name]) + np.float32(_UNEVENNESS * contrast) * uneven)


def _digitise(
    rng: np.random.Generator, image: Float, brain: NDArray[np.bool_], gain: float, noise: float
) -> NDArray[np.int16]:
    signal = image[brain] * np.float32(gain)
    sigma = np.float32(noise * signal.mean())
    real, imaginary = (sigma * rng.standard_normal(signal.size, dtype=np.float32) for _ in range(2))
    magnitude = np.hypot(signal + real, imaginary)
    voxels = np.zeros(brain.shape, np.int16)
    voxels[brain] = np.clip(np.rint(magnitude), 1, np.iinfo(np.int16).max)
    return voxels
