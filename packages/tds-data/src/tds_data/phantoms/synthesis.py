"""From a seed to a patient's pictures and everything that is known about them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.case import Case
from tds_data.phantoms.anatomy import Anatomy
from tds_data.phantoms.body import Body, draw_body_plan, healthy_body, render
from tds_data.phantoms.config import PhantomConfig
from tds_data.phantoms.exact import Float, settled
from tds_data.phantoms.growth import Growth
from tds_data.phantoms.lesion_layers import lesion_overlays, scars
from tds_data.phantoms.patient import Patient, make_patient
from tds_data.phantoms.relaxation import HIGH_TESLA, LOW_TESLA, Tissue, draw_tissues
from tds_data.phantoms.scanner import Scan, acquire, draw_scan
from tds_data.phantoms.sequences import Protocol, draw_protocol, signal
from tds_data.phantoms.stripping import strip
from tds_data.phantoms.template import HEAD_BOX, Template, load_template, template_folder
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

_BRIGHTEST: Final = 32767
_GAIN_SPREAD: Final = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    """What is usual for a sequence.

    Attributes:
        brightness: Stored number for white matter.
        noise: Relative to the typical noise.
        unevenness: How much healthy tissue varies.
    """

    brightness: float
    noise: float
    unevenness: float


_HABITS: Final = {
    Modality.T1: _Habit(brightness=700, noise=1.1, unevenness=0.015),
    Modality.T1CE: _Habit(brightness=1000, noise=1.6, unevenness=0.02),
    Modality.T2: _Habit(brightness=500, noise=2.4, unevenness=0.035),
    Modality.FLAIR: _Habit(brightness=700, noise=2.0, unevenness=0.04),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Acquisition:
    """How one sequence was made.

    Attributes:
        tesla: Field strength.
        protocol: Timing and sampling.
        scan: What spoilt it.
        signals: Brightness of each tissue before the receiver's gain.
        gain: Stored number for a brightness of one.
    """

    tesla: float
    protocol: Protocol
    scan: Scan
    signals: Mapping[str, float]
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phantom:
    """A made-up patient with everything that is known about it.

    Attributes:
        case: Sequences and reference mask.
        reference: The same mask: labels 0 to 3.
        brain: Boolean array: the brain itself, wherever a stripping program would have cut.
        tissues: Fractions of `white`, `grey` and `fluid` as they would be without the lesions' own tissue, float32,
            each of the grid's shape; where the brain is not, all are 0.
        cavity: Boolean array: where a resection left fluid.
        acquisitions: How each sequence was made.
    """

    case: Case
    reference: Volume
    brain: NDArray[np.bool_]
    tissues: Mapping[str, Float]
    cavity: NDArray[np.bool_]
    acquisitions: Mapping[Modality, Acquisition]


def synthesize(config: PhantomConfig) -> Phantom:
    """Return a phantom patient with everything that is known about it.

    Args:
        config: What to make.

    Raises:
        MissingDependency: If nilearn, which ships the anatomy, is not installed.
    """
    template = load_template(template_folder())
    streams = np.random.Generator(np.random.PCG64(config.seed)).spawn(5 + len(MODALITIES))
    person_rng, lesion_rng, body_rng, strip_rng, tissue_rng, *scanners = streams
    patient = make_patient(person_rng, lesion_rng, template, config)
    anatomy, growth = patient.anatomy, patient.growth
    body = _make_body(body_rng, template, patient)
    kept = None if config.with_skull else strip(strip_rng, anatomy)
    tesla = config.tesla or float(tissue_rng.choice((LOW_TESLA, HIGH_TESLA)))
    tissues = draw_tissues(tissue_rng, tesla)
    images, acquisitions = {}, {}
    for modality, rng in zip(MODALITIES, scanners, strict=True):
        if modality in config.modalities:
            how = _draw_acquisition(rng, modality, config, tissues, tesla)
            image = _picture(rng, body, modality, how)
            images[modality] = Volume(_stored(image, kept, how.gain), anatomy.lattice.ras_from_voxel)
            acquisitions[modality] = how
    if kept is not None:
        growth = replace(growth, labels=growth.labels * kept, cavity=growth.cavity & kept)
    return _known(f"phantom-{config.seed:04d}", images, patient.anatomy, growth, acquisitions)


def make_phantom(config: PhantomConfig) -> Case:
    """Return a phantom patient with its reference mask.

    Args:
        config: What to make.

    Returns:
        A case named after its seed. Images are int16. Without a skull their background is exactly 0 and the brain at
        least 1. The mask is uint8 with labels 0 to 3; a resection cavity is 0. The grid is axis-aligned RAS+, around
        the brain or the head. The same config gives the same voxels on every machine.

    Raises:
        MissingDependency: If nilearn, which ships the anatomy, is not installed.
    """
    return synthesize(config).case


def _make_body(rng: np.random.Generator, template: Template, patient: Patient) -> Body:
    anatomy = patient.anatomy
    body = healthy_body(template, patient.person, draw_body_plan(rng, HEAD_BOX, patient.person), anatomy)
    aged = scars(rng, patient.person, anatomy)
    lesions = lesion_overlays(rng, anatomy, patient.growth)
    return replace(body, overlays=(aged, *body.overlays, *lesions))


def _draw_acquisition(
    rng: np.random.Generator, modality: Modality, config: PhantomConfig, tissues: Mapping[str, Tissue], tesla: float
) -> Acquisition:
    habit = _HABITS[modality]
    protocol = draw_protocol(rng, modality, thick=config.thick_slices)
    after = modality is Modality.T1CE
    signals = {
        name: signal(protocol, tissue.enhanced(tesla) if after else tissue, tissues["fluid"])
        for name, tissue in tissues.items()
    }
    scan = draw_scan(rng, noise=habit.noise * config.noise, bias=config.bias, motion=config.motion)
    brightness = float(np.exp(rng.normal(np.log(habit.brightness), _GAIN_SPREAD)))
    gain = settled(brightness / signals["white"])
    return Acquisition(tesla=tesla, protocol=protocol, scan=scan, signals=signals, gain=gain)


def _picture(rng: np.random.Generator, body: Body, modality: Modality, how: Acquisition) -> Float:
    image = body.anatomy.spread(render(body, how.signals, _HABITS[modality].unevenness))
    return acquire(rng, image, body.anatomy.lattice, how.protocol, how.scan, how.signals["white"])


def _stored(image: Float, kept: NDArray[np.bool_] | None, gain: float) -> NDArray[np.int16]:
    whole = np.rint(image * np.float32(gain))
    voxels: NDArray[np.int16] = np.clip(whole, 0 if kept is None else 1, _BRIGHTEST).astype(np.int16)
    return voxels if kept is None else voxels * kept


def _known(
    name: str,
    images: Mapping[Modality, Volume],
    anatomy: Anatomy,
    growth: Growth,
    acquisitions: Mapping[Modality, Acquisition],
) -> Phantom:
    reference = Volume(growth.labels, anatomy.lattice.ras_from_voxel)
    inside = anatomy.surface_mm < 0
    tissues = {
        tissue: anatomy.spread(share * inside)
        for tissue, share in (("white", anatomy.white), ("grey", anatomy.grey), ("fluid", anatomy.fluid))
    }
    return Phantom(
        case=Case(name=name, images=images, reference=reference),
        reference=reference,
        brain=anatomy.spread(anatomy.surface_mm, 1.0) < 0,
        tissues=tissues,
        cavity=growth.cavity,
        acquisitions=acquisitions,
    )
