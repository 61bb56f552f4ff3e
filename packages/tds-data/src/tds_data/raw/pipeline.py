"""A raw study becomes a case that the models can see: registered, stripped, on one grid.

Order: every sequence is registered to the reference (T1ce if there is one), the brain is found on the reference, the
atlas is laid over it if it is wanted; then each sequence is brought to the prepared grid in one interpolation, its bias
field is taken out if that is wanted, and everything outside the brain becomes zero.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy import ndimage

from tds_data.case import Case
from tds_data.errors import RegistrationFailed, SequenceNotFound
from tds_data.geometry import Interpolation, to_canonical
from tds_data.preprocess import foreground
from tds_data.raw._hdbet_weights import weights_file
from tds_data.raw._itk import load_itk
from tds_data.raw._networks import load_openvino
from tds_data.raw.atlas import load_atlas
from tds_data.raw.bias import BiasConfig, correct_bias
from tds_data.raw.deface import DefaceConfig, remove_face
from tds_data.raw.plan import MaskRule, NativeSequence, Plan, Space, grid_of, to_native
from tds_data.raw.register import (
    RegisterConfig,
    Registration,
    displacement_mm,
    head_points,
    register_affine,
    register_rigid,
)
from tds_data.raw.resampling import Affine, resample_labels, resample_to
from tds_data.raw.strip import Progress, StripConfig, find_brain, is_stripped
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

REFERENCE_ORDER: Final = (Modality.T1CE, Modality.T1, Modality.T2, Modality.FLAIR)
"""The first of these that a study has is what the others are brought to."""

_AS_THE_HEADERS_SAY_MM: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class RawConfig:
    """What is done to a raw study, and how.

    Attributes:
        reference: The sequence that the others are brought to; the first of T1ce, T1, T2, FLAIR if `None`.
        atlas: Whether the study is brought to the ICBM152 atlas, 1 mm, by an affine map. Volumes measured there are the
            atlas's and not the patient's.
        bias: How bias fields are taken out, or `None` to leave them.
        deface: How faces are taken out of copies of the raw images, or `None` for no such copies.
        strip: How the skull is stripped.
        register: How sequences are registered, or `None` to trust where their headers say that they lie. Then the atlas
            is laid over the brain with the defaults.
        interpolation: How images get values between voxels.
    """

    reference: Modality | None = None
    atlas: bool = False
    bias: BiasConfig | None = None
    deface: DefaceConfig | None = None
    strip: StripConfig = field(default_factory=StripConfig)
    register: RegisterConfig | None = field(default_factory=RegisterConfig)
    interpolation: Interpolation = Interpolation.LINEAR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedStudy:
    """A prepared study and how it came about.

    Attributes:
        case: Registered, stripped sequences on one grid, float32, zero outside the brain.
        brain: The brain's mask on that grid, uint8 of 0 and 1.
        plan: The way back to each raw sequence.
        registrations: How each sequence but the reference was brought to it.
        atlas: How the reference's brain was brought to the atlas, if it was.
        had_skull: Whether there was a skull on the reference to be stripped.
        defaced: Each raw sequence without face, on its own grid, if asked for.
        notes: What had to be assumed, for people.
        seconds: Time spent in each stage.
    """

    case: Case
    brain: Volume
    plan: Plan
    registrations: Mapping[Modality, Registration]
    atlas: Registration | None
    had_skull: bool
    defaced: Mapping[Modality, Volume]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]


def reference_of(modalities: Mapping[Modality, Volume], wanted: Modality | None = None) -> Modality:
    """Return the sequence that the others of a study are brought to.

    Args:
        modalities: The study's sequences.
        wanted: The one to take, if it must be a certain one.

    Raises:
        SequenceNotFound: If there is no sequence, or not the one wanted.
    """
    found = next((m for m in ((wanted,) if wanted else REFERENCE_ORDER) if m in modalities), None)
    if found is None:
        message = f"the study has no {wanted or 'sequence'}; it has {', '.join(modalities) or 'nothing'}"
        raise SequenceNotFound(message)
    return found


def prepare_raw(
    images: Mapping[Modality, Volume],
    config: RawConfig | None = None,
    *,
    name: str = "study",
    cache: Path | None = None,
    progress: Progress | None = None,
) -> PreparedStudy:
    """Return a raw study registered and stripped, with the way back.

    Args:
        images: Each sequence on its own grid, with or without skull.
        config: What is done; the defaults if `None`.
        name: The case's name, without patient identifiers.
        cache: Folder for converted networks; see `tds_data.raw.strip.find_brain`.
        progress: Hears of each step.

    Raises:
        SequenceNotFound: If there is no sequence, or not the one that is to be the reference.
        RegistrationFailed: If a sequence cannot be brought to the reference, or the brain to the atlas.
        BrainNotFound: If the skull stripping finds no brain.
        VoxelError: If an image holds NaN or infinities or is constant.
        GeometryError: If the axes of an image are not at right angles.
        WeightsRefused: If the weights of the skull stripping are not the published ones.
        VolumeWriteError: If the cache cannot be written to.
        MissingDependency: If an extra is not installed that a step needs.
    """
    config = config or RawConfig()
    reference = reference_of(images, config.reference)
    for modality, volume in images.items():
        foreground(volume.voxels, name=modality)
    had_skull = not is_stripped(images[reference])
    _check_extras(images, config, had_skull=had_skull)
    work = _Work(images=images, reference=reference, config=config, cache=cache, progress=progress)
    with work.stage("register"):
        registrations = work.register()
    with work.stage("strip"):
        brain = work.find_brain(had_skull=had_skull)
    with work.stage("atlas"):
        atlas = work.to_atlas(brain) if config.atlas or config.deface else None
    space = Space.ATLAS if config.atlas else Space.REFERENCE
    to_space = atlas.fixed_from_moving if config.atlas and atlas else np.eye(4)
    grid = load_atlas() if config.atlas else to_canonical(images[reference])
    moves = {m: to_space @ work.moves.get(m, np.eye(4)) for m in images}
    sequences = {m: NativeSequence(grid=grid_of(v), prepared_from_native=moves[m]) for m, v in images.items()}
    plan = Plan(reference=reference, space=space, grid=grid_of(grid), sequences=sequences)
    with work.stage("resample"):
        mask = resample_labels(brain, plan.grid.as_volume(), to_space)
        prepared = {m: work.prepared(m, mask, moves[m]) for m in plan.sequences}
    with work.stage("deface"):
        defaced = {m: work.defaced(m, mask, plan, atlas) for m in plan.sequences} if config.deface and atlas else {}
    return PreparedStudy(
        case=Case(name=name, images=prepared),
        brain=mask,
        plan=plan,
        registrations=registrations,
        atlas=atlas,
        had_skull=had_skull,
        defaced=defaced,
        notes=tuple(work.notes),
        seconds=work.seconds,
    )


def _check_extras(images: Mapping[Modality, Volume], config: RawConfig, *, had_skull: bool) -> None:
    """Ask for what will be needed before minutes of work, not after."""
    if config.atlas or config.deface:
        load_atlas()
    if config.atlas or config.deface or config.bias or (config.register and len(images) > 1):
        load_itk()
    if had_skull:
        load_openvino()
        weights_file(0)


@dataclass(slots=True, kw_only=True, eq=False)
class _Work:
    """The steps, and what is remembered between them."""

    images: Mapping[Modality, Volume]
    reference: Modality
    config: RawConfig
    cache: Path | None
    progress: Progress | None
    done: int = 0
    moves: dict[Modality, Affine] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

    def tell(self, what: str) -> None:
        if self.progress is not None:
            count = len(self.images)
            steps = 2 * count + (1 if self.config.atlas or self.config.deface else 0)
            self.progress(self.done, steps + (count if self.config.deface else 0), what)
        self.done += 1

    def register(self) -> dict[Modality, Registration]:
        if self.config.register is None:
            self.notes.append("sequences lie where their headers say and were not registered")
            return {}
        fixed = self.images[self.reference]
        points = head_points(fixed)
        found: dict[Modality, Registration] = {}
        for modality, moving in self.images.items():
            if modality is self.reference:
                continue
            self.tell(f"registering {modality} to {self.reference}")
            try:
                result = register_rigid(moving, fixed, self.config.register)
            except RegistrationFailed as error:
                message = f"{modality} could not be registered to {self.reference}: {error}"
                raise RegistrationFailed(message) from error
            off_mm = displacement_mm(result.fixed_from_moving, np.eye(4), points)
            if to_canonical(moving).same_grid(to_canonical(fixed)) and off_mm < _AS_THE_HEADERS_SAY_MM:
                self.notes.append(f"{modality} lies on {self.reference} to within {off_mm:.2f} mm and was not moved")
                result = replace(result, fixed_from_moving=np.eye(4), shift_mm=0.0, turn_deg=0.0)
            found[modality] = result
            self.moves[modality] = result.fixed_from_moving
        return found

    def find_brain(self, *, had_skull: bool) -> Volume:
        volume = self.images[self.reference]
        self.tell("looking for the brain")
        if not had_skull:
            self.notes.append(f"{self.reference} shows no skull; its own outline was taken for the brain's")
            filled = ndimage.binary_fill_holes(foreground(volume.voxels))
            return volume.with_voxels(np.asarray(filled, np.uint8))
        return find_brain(volume, self.config.strip, cache=self.cache)

    def to_atlas(self, brain: Volume) -> Registration:
        self.tell("laying the atlas over the brain")
        volume = self.images[self.reference]
        stripped = np.where(brain.voxels != 0, volume.voxels, 0)
        try:
            return register_affine(volume.with_voxels(stripped), load_atlas(), self.config.register)
        except RegistrationFailed as error:
            message = f"the brain of {self.reference} could not be brought to the atlas: {error}"
            raise RegistrationFailed(message) from error

    def prepared(self, modality: Modality, brain: Volume, prepared_from_native: Affine) -> Volume:
        self.tell(f"resampling {modality}")
        image = resample_to(self.images[modality], brain, prepared_from_native, interpolation=self.config.interpolation)
        if self.config.bias is not None:
            image = correct_bias(image, brain, self.config.bias)
        return image.with_voxels(np.where(brain.voxels != 0, image.voxels, 0).astype(np.float32, copy=False))

    def defaced(self, modality: Modality, brain: Volume, plan: Plan, atlas: Registration) -> Volume:
        self.tell(f"defacing {modality}")
        native = to_native(brain, plan, modality, rule=MaskRule.NEAREST)
        atlas_from_native = atlas.fixed_from_moving @ self.moves.get(modality, np.eye(4))
        return remove_face(self.images[modality], native, atlas_from_native, self.config.deface)
