"""The same patient or image on both sides of a split.

A model that was trained on an image knows its answer, so its score there says nothing. Three things are looked for:
cases of one patient, files of the same bytes, and images that were saved anew: in another type or scale, turned,
mirrored, cropped, a little noisy or smoothed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_data.curation.folds import Folds
from tds_data.curation.overlap import Detail, detail, overlap_correlation
from tds_data.curation.spectrum import best_order, orderless, spectrum
from tds_data.datasets._pool import Progress, run_all
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.errors import DataLeak, DatasetError
from tds_data.formats.images import open_image
from tds_data.volume import Volume

LIKELY: Final = 0.6
"""Correlation of two spectra from which on the images themselves are compared."""

SAME_IMAGE: Final = 0.8
"""Correlation of two images' details, one laid onto the other, from which on they are taken for one.

Both are measured by `benchmarks/leak_threshold.py`. Skull-stripped images of different patients in one atlas space have
spectra that correlate by 0.2 to 0.3 on average and by less than 0.5 at most, and details by less than 0.75. Copies that
were smoothed to a sigma of 3 mm, given noise of a third of their mean, quantised, normalised, given a bias field,
mirrored, turned by 90 degrees or by 2, resampled to 1.5 mm or to slices of 3 mm, or cut 5 mm into the brain on three
sides keep spectra above 0.8 and details above 0.85. Bodies of one outline with other content, whose spectra are alike,
have details below 0.3.
A follow-up scan of the same patient may lie on either side: the patient's name is what tells it.
"""

_SHORT_LIKELY: Final = 0.5  # of the shorter spectra, whose correlation is about the same
_ROWS: Final = 1024
_KEPT_DETAILS: Final = 32


class LeakKind(StrEnum):
    """How two cases are found to be one, the surest first."""

    PATIENT = "same patient"
    FILE = "same file"
    IMAGE = "same image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Two cases that are on different sides of a split and should not be.

    Attributes:
        kind: How it shows.
        cases: Names of both, in order.
        places: Where each of them is: `fold 0`, `holdout`.
        images: Which image of each it is, for files and images.
        correlation: How alike the images are, up to 1, for images.
    """

    kind: LeakKind
    cases: tuple[str, str]
    places: tuple[str, str]
    images: tuple[str, str] | None = None
    correlation: float | None = None

    @property
    def message(self) -> str:
        """What is wrong, in a few words."""
        first, second = self.cases
        told = f"{first!r} ({self.places[0]}) and {second!r} ({self.places[1]})"
        if self.kind is LeakKind.PATIENT:
            return f"{told} are of the same patient"
        images = " and ".join(dict.fromkeys(self.images or ()))
        if self.kind is LeakKind.FILE:
            return f"{told} have the same file ({images})"
        return f"{told} have nearly the same image ({images}, correlation {self.correlation or 0.0:.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    case: CaseEntry
    key: str
    file: FileEntry


def find_leaks(
    manifest: Manifest, folds: Folds, *, workers: int | None = None, progress: Progress | None = None
) -> tuple[Leak, ...]:
    """Return the pairs of cases that are in different folds, or in a fold and in the holdout, and should not be.

    Every image of the cases in folds and holdout is read once; each pair of cases is named once, by what is surest.

    Args:
        manifest: The data set.
        folds: Its split.
        workers: How many files are read at a time; one for each core by default.
        progress: Told how many files are read.

    Raises:
        FoldError: If the folds were made for another data set.
        VolumeReadError: If an image cannot be read.
        DatasetError: If a file holds fewer images than the manifest says.
    """
    folds.check(manifest)
    places = folds.places
    cases = [case for case in manifest.cases if case.name in places]
    images = [_Image(case=case, key=key, file=file) for case in cases for key, file in case.images.items()]
    found = [*_same_patient(cases, places), *_same_file(images, places)]
    known = {leak.cases for leak in found}
    spectra = _spectra(manifest, images, workers=workers, progress=progress)
    details = lru_cache(_KEPT_DETAILS)(lambda number: detail(_read(manifest, [images[number].file])[0]))
    found += [leak for leak in _same_image(images, spectra, places, details) if leak.cases not in known]
    return tuple(found)


def refuse_leaks(
    manifest: Manifest, folds: Folds, *, workers: int | None = None, progress: Progress | None = None
) -> None:
    """Refuse folds with a leak.

    Args:
        manifest: As for `find_leaks`, as the others.
        folds: Its split.
        workers: How many files are read at a time.
        progress: Told how many files are read.

    Raises:
        DataLeak: If there is one; and as `find_leaks`.
    """
    leaks = find_leaks(manifest, folds, workers=workers, progress=progress)
    if leaks:
        raise DataLeak(leaks)


def _same_patient(cases: Sequence[CaseEntry], places: Mapping[str, str]) -> Iterator[Leak]:
    by_patient: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_patient[case.patient].append(case.name)
    for names in by_patient.values():
        for first, second in combinations(sorted(names), 2):
            if places[first] != places[second]:
                yield Leak(kind=LeakKind.PATIENT, cases=(first, second), places=(places[first], places[second]))


def _same_file(images: Sequence[_Image], places: Mapping[str, str]) -> Iterator[Leak]:
    by_content: dict[tuple[str, int | None], list[_Image]] = defaultdict(list)
    for image in images:
        by_content[image.file.sha256, image.file.index].append(image)
    seen: set[tuple[str, str]] = set()
    for same in by_content.values():
        for pair in combinations(sorted(same, key=lambda image: image.case.name), 2):
            names = (pair[0].case.name, pair[1].case.name)
            if _is_leak(*pair, places) and names not in seen:
                seen.add(names)
                yield Leak(
                    kind=LeakKind.FILE,
                    cases=names,
                    places=(places[names[0]], places[names[1]]),
                    images=(pair[0].key, pair[1].key),
                )


def _is_leak(first: _Image, second: _Image, places: Mapping[str, str]) -> bool:
    """Tell whether two images on different sides may not be one; those of one patient are told as such."""
    return places[first.case.name] != places[second.case.name] and first.case.patient != second.case.patient


def _spectra(
    manifest: Manifest, images: Sequence[_Image], *, workers: int | None, progress: Progress | None
) -> NDArray[np.float32]:
    by_path: dict[str, list[int]] = defaultdict(list)
    for number, image in enumerate(images):
        by_path[image.file.path].append(number)
    read = partial(_read_spectra, manifest)
    tasks = [[images[number].file for number in numbers] for numbers in by_path.values()]
    results = run_all(read, tasks, workers=workers, progress=progress, what="comparing images")
    spectra: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(images)
    for numbers, result in zip(by_path.values(), results, strict=True):
        for number, values in zip(numbers, result, strict=True):
            spectra[number] = values
    return np.array(spectra)


def _read_spectra(manifest: Manifest, files: Sequence[FileEntry]) -> list[NDArray[np.float32]]:
    return [spectrum(volume) for volume in _read(manifest, files)]


def _read(manifest: Manifest, files: Sequence[FileEntry]) -> list[Volume]:
    """Return images that are in one file."""
    path = manifest.path(files[0])
    opened = open_image(path)
    volumes = opened.read_all() if any(file.index is not None for file in files) else [opened.read()]
    last = max(file.index or 0 for file in files)
    if last >= len(volumes):
        message = f"{path.name!r} holds {len(volumes)} images, and number {last} is asked for; index it again"
        raise DatasetError(message)
    return [volumes[file.index or 0] for file in files]


def _same_image(
    images: Sequence[_Image], spectra: NDArray[np.float32], places: Mapping[str, str], read: Callable[[int], Detail]
) -> Iterator[Leak]:
    """Give each pair of cases that share an image once, told by the images whose spectra are most alike."""
    candidates = []
    for one, other in _likely_pairs(spectra):
        first, second = sorted((one, other), key=lambda number: images[number].case.name)
        if _is_leak(images[first], images[second], places):
            alike, order = best_order(spectra[first], spectra[second])
            if alike >= LIKELY:
                candidates.append((-alike, first, second, order))
    told: set[tuple[str, str]] = set()
    for _, first, second, order in sorted(candidates):
        names = (images[first].case.name, images[second].case.name)
        alike = 0.0 if names in told else overlap_correlation(read(first), read(second), order)
        if alike >= SAME_IMAGE:
            told.add(names)
            yield Leak(
                kind=LeakKind.IMAGE,
                cases=names,
                places=(places[names[0]], places[names[1]]),
                images=(images[first].key, images[second].key),
                correlation=alike,
            )


def _likely_pairs(spectra: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Give the pairs whose short spectra are alike, block by block, so that no table of all pairs is in memory."""
    if not len(spectra):
        return
    short = orderless(spectra)
    for start in range(0, len(short), _ROWS):
        block = short[start : start + _ROWS] @ short[start:].T
        for row, column in np.argwhere(block >= _SHORT_LIKELY):
            if column > row:
                yield start + int(row), start + int(column)
