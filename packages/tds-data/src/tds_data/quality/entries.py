"""The check of one case of a manifest, from its files: the work of one worker process."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from tds_data.case import Case
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.datasets.schemes import BRATS_LABELS, CUSTOM_SCHEME, LabelScheme, find_scheme
from tds_data.quality.dataset_report import CaseReport
from tds_data.quality.files import FileReader
from tds_data.quality.fingerprints import fingerprint
from tds_data.quality.gate import content_flags, together
from tds_data.quality.grids import grid_flags, mismatch_flags
from tds_data.quality.intensities import unusable_flags
from tds_data.quality.labels import mask_flags, scheme_flags
from tds_data.quality.pictures import draw_pictures
from tds_data.quality.sampling import SampledImage
from tds_data.quality.slices import slice_flags
from tds_data.quality.structure import UNUSABLE, image_flags
from tds_data.report import QualityFlag
from tds_data.vocabulary import MODALITIES, Label, Modality
from tds_data.volume import Volume

MASK: Final = "mask"
"""What the mask is called in a finding."""

_orientations: Final[Any] = nib.orientations  # nibabel's functions carry no annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTask:
    """What a worker process needs to know to check a case.

    Attributes:
        root: Folder that the files' paths are relative to.
        scheme: Name of the label scheme of the mask.
        labels: The numbers of each label, for the scheme `custom`.
        name: The case's name.
        patient: Shared by all cases of one person.
        images: The file of each image.
        mask: The file of the mask, if there is one.
        phantom: Whether the case is synthetic.
        notes: What the manifest says of the case.
        is_pictured: Whether to draw a slice of each image.
    """

    root: Path
    scheme: str
    labels: Mapping[str, tuple[int, ...]]
    name: str
    patient: str
    images: Mapping[str, FileEntry]
    mask: FileEntry | None = None
    phantom: bool = False
    notes: tuple[str, ...] = ()
    is_pictured: bool = False

    @classmethod
    def of(cls, manifest: Manifest, entry: CaseEntry, *, is_pictured: bool) -> Self:
        """Return the task of checking a case.

        Args:
            manifest: The data set.
            entry: One of its cases.
            is_pictured: Whether to draw a slice of each image.
        """
        return cls(
            root=manifest.root,
            scheme=manifest.scheme,
            labels=dict(manifest.labels),
            name=entry.name,
            patient=entry.patient,
            images=dict(entry.images),
            mask=entry.mask,
            phantom=entry.phantom,
            notes=entry.notes,
            is_pictured=is_pictured,
        )

    def report(self, **found: Any) -> CaseReport:  # noqa: ANN401  # the fields of a report
        """Return a report on this case.

        Args:
            found: Fields beyond those that the task knows.
        """
        return CaseReport(
            name=self.name,
            patient=self.patient,
            sequences=tuple(self.images),
            phantom=self.phantom,
            notes=self.notes,
            **found,
        )


@dataclass(slots=True, kw_only=True)
class _Loaded:
    """A case's files in memory."""

    images: dict[str, Volume]
    mask: Volume | None
    labels: Volume | None
    flags: list[QualityFlag] = field(default_factory=list)


def check_entry(task: CaseTask) -> CaseReport:
    """Return what the check of one case found. Files that cannot be read, or do not fit together, are findings.

    Args:
        task: The case.

    Raises:
        MissingDependency: If pictures are asked for and Pillow is not installed.
    """
    scheme = find_scheme(task.scheme, task.labels)
    case = _load(task, scheme)
    flags = _findings(task, case, scheme)
    useless = {flag.subject for flag in flags if flag.code in UNUSABLE}
    usable = {name: volume for name, volume in case.images.items() if name not in useless}
    grid = next(iter(case.images.values()), None)
    return task.report(
        shape=None if grid is None else grid.shape,
        spacing_mm=None if grid is None else grid.spacing_mm,
        orientation=None if grid is None else "".join(_orientations.aff2axcodes(grid.ras_from_voxel)),
        marked_ml=None if case.mask is None else int(np.count_nonzero(case.mask.voxels)) * case.mask.voxel_volume_ml,
        flags=flags,
        fingerprints={name: fingerprint(volume) for name, volume in usable.items()},
        pictures=draw_pictures(usable, _outlined(case)) if task.is_pictured else (),
    )


def _load(task: CaseTask, scheme: LabelScheme) -> _Loaded:
    manifest = Manifest(layout="", cases=(), scheme=task.scheme, root=task.root)
    reader = FileReader(manifest=manifest)
    read = {name: reader.read(entry, name) for name, entry in task.images.items()}
    mask = None if task.mask is None else reader.read(task.mask, MASK)
    images = {name: volume for name, volume in read.items() if volume is not None}
    labels = None if mask is None else mask.with_voxels(_brats_labels(mask, scheme))
    return _Loaded(images=images, mask=mask, labels=labels, flags=reader.flags)


def _findings(task: CaseTask, case: _Loaded, scheme: LabelScheme) -> tuple[QualityFlag, ...]:
    mask = case.mask
    structure = [*case.flags, *mismatch_flags(_on_one_grid(case))]
    content: list[QualityFlag] = []
    heads: list[SampledImage] = []
    for images in _by_grid(case.images):
        usable: list[SampledImage] = []
        found = list(_flags_on_one_grid(task.name, images, usable))
        # A sequence that is on another grid, or could not be read, is not absent.
        structure += [f for f in found if f.code != "MISSING-SEQUENCE" or f.subject not in task.images]
        content += _content_flags(task.name, images, case.labels, found)
        heads += [image for image in usable if mask is not None and mask.same_grid(image.volume)]
    if mask is not None:
        structure += [*scheme_flags(mask, _numbers(task, scheme), scheme.name), *mask_flags(mask, heads)]
    return together(structure, content)


def _on_one_grid(case: _Loaded) -> dict[str, Volume]:
    """Return what has to share a grid: brain MRI, or the first image of others, and the mask.

    PET lies on a grid of its own beside CT, and the mask on the grid of the CT.
    """
    brain = {name: volume for name, volume in case.images.items() if name in set(MODALITIES)}
    first = dict(list(case.images.items())[:1])
    return {**(brain or first), **({} if case.mask is None else {MASK: case.mask})}


def _by_grid(images: Mapping[str, Volume]) -> Iterator[dict[str, Volume]]:
    waiting = dict(images)
    while waiting:
        grid = next(iter(waiting.values()))
        alike = {name: volume for name, volume in waiting.items() if volume.same_grid(grid)}
        waiting = {name: volume for name, volume in waiting.items() if name not in alike}
        yield alike


def _flags_on_one_grid(name: str, images: Mapping[str, Volume], usable: list[SampledImage]) -> Iterator[QualityFlag]:
    brain = _brain(images)
    if brain:
        yield from image_flags(Case(name=name, images=brain), usable)
    for key, volume in images.items():
        if key not in set(MODALITIES):
            yield from _flags_of_other(key, volume)


def _content_flags(
    name: str, images: Mapping[str, Volume], labels: Volume | None, found: Iterable[QualityFlag]
) -> tuple[QualityFlag, ...]:
    brain = _brain(images)
    if not brain:
        return ()
    fits = labels is not None and labels.same_grid(next(iter(brain.values())))
    return content_flags(Case(name=name, images=brain, reference=labels if fits else None), found)


def _brain(images: Mapping[str, Volume]) -> dict[Modality, Volume]:
    return {Modality(key): volume for key, volume in images.items() if key in set(MODALITIES)}


def _flags_of_other(name: str, volume: Volume) -> Iterator[QualityFlag]:
    """Yield what speaks against an image that is no brain MRI, such as CT or PET."""
    # A part of the body may be shorter than a head is.
    yield from (finding for finding in grid_flags(volume, subject=name) if finding.code != "TOO-SMALL")
    image = SampledImage.of(name, volume)
    unusable = list(unusable_flags(image))
    yield from unusable or slice_flags(image)


def _outlined(case: _Loaded) -> Volume | None:
    """Return the labels to outline; a mask without a label of BraTS is outlined as a whole."""
    if case.mask is None or case.labels is None or case.labels.voxels.any():
        return case.labels
    return case.mask.with_voxels((case.mask.voxels != 0) * np.uint8(Label.ED))


def _numbers(task: CaseTask, scheme: LabelScheme) -> set[int]:
    if scheme.name == CUSTOM_SCHEME:
        return {number for numbers in task.labels.values() for number in numbers}
    return set(scheme.values.values())


def _brats_labels(mask: Volume, scheme: LabelScheme) -> NDArray[np.uint8]:
    """Return the mask in the labels of BraTS 2023; what has no such label there is left out."""
    labels = np.zeros_like(mask.voxels, dtype=np.uint8)
    for tissue, number in scheme.values.items():
        if tissue in BRATS_LABELS:
            labels[mask.voxels == number] = int(BRATS_LABELS[tissue])
    return labels
