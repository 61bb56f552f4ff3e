"""How well images saved anew are told from images of other patients, as leaks between folds are found.

    python benchmarks/leak_threshold.py DATA -o leaks.json
    python benchmarks/leak_threshold.py -n 6

DATA is a folder with one sub-folder of sequences per patient; without it, phantoms are made. The first table compares
different patients in each sequence, the second images with copies that were changed in one way: by their spectra, which
choose the pairs that may be one image, and by their details, which decide. Where the first table ends and the second
begins, the thresholds may lie.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data import MODALITIES, Case, PhantomConfig, Volume, make_phantom
from tds_data.curation.leaks import LIKELY, SAME_IMAGE
from tds_data.curation.overlap import Detail, detail, overlap_correlation
from tds_data.curation.spectrum import best_order, spectrum
from tds_data.discover import discover, load_case

Copy = tuple[str, Volume]
Table = dict[str, dict[str, float]]


def main() -> None:
    """Measure, print two tables and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder with one sub-folder per patient")
    parser.add_argument("-n", type=int, default=6, help="patients or phantoms to compare")
    parser.add_argument("--copies", type=int, default=3, help="patients of whom changed copies are made")
    parser.add_argument("-o", type=Path, help="JSON file to write")
    options = parser.parse_args()
    cases = list(load(options.data, options.n))
    apart, together = between_patients(cases), between_copies(cases[: options.copies])
    print(f"{len(cases)} {'phantoms' if options.data is None else 'patients'}")
    print(f"{'':24} spectra: mean, most   details: mean, most")
    for name, row in apart.items():
        print(
            f"{name:24} {row['spectra_mean']:13.3f} {row['spectra_most']:6.3f} "
            f"{row['details_mean']:15.3f} {row['details_most']:6.3f}"
        )
    print(f"{'':24} spectra: least, mean  details: least, mean")
    for name, row in sorted(together.items(), key=lambda item: -item[1]["spectra_least"]):
        print(
            f"{name:24} {row['spectra_least']:14.3f} {row['spectra_mean']:6.3f} "
            f"{row['details_least']:15.3f} {row['details_mean']:6.3f}"
        )
    if options.o is not None:
        result = {
            "phantom": options.data is None,
            "likely": LIKELY,
            "same_image": SAME_IMAGE,
            "patients": len(cases),
            "between_patients": apart,
            "copies": together,
        }
        options.o.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def load(data: Path | None, count: int) -> Iterator[Case]:
    """Give patients, or phantoms where there are none.

    Args:
        data: Folder with one sub-folder per patient.
        count: How many.
    """
    if data is None:
        yield from (make_phantom(PhantomConfig(seed=seed, spacing_mm=1.5)) for seed in range(count))
        return
    for folder in sorted(p for p in data.iterdir() if p.is_dir())[:count]:
        yield load_case(discover(folder))


def between_patients(cases: list[Case]) -> Table:
    """Return how alike different patients are in each sequence.

    Args:
        cases: The patients.
    """
    table: Table = {}
    for modality in MODALITIES:
        seen = [Seen.of(case.images[modality]) for case in cases if modality in case.images]
        compared = [one.compared(other) for one, other in combinations(seen, 2)]
        if compared:
            (s_mean, s_most), (d_mean, d_most) = ((float(np.mean(v)), max(v)) for v in zip(*compared, strict=True))
            row = {"spectra_mean": s_mean, "spectra_most": s_most, "details_mean": d_mean, "details_most": d_most}
            table[str(modality)] = {**row, "pairs": len(compared)}
    return table


def between_copies(cases: list[Case]) -> Table:
    """Return how alike images and changed copies of them are.

    Args:
        cases: The patients.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        for volume in case.images.values():
            original = Seen.of(volume)
            for name, copy in copies(volume, np.random.default_rng(0)):
                found.setdefault(name, []).append(original.compared(Seen.of(copy)))
    table: Table = {}
    for name, compared in found.items():
        (s_least, s_mean), (d_least, d_mean) = ((min(v), float(np.mean(v))) for v in zip(*compared, strict=True))
        row = {"spectra_least": s_least, "spectra_mean": s_mean, "details_least": d_least, "details_mean": d_mean}
        table[name] = {**row, "pairs": len(compared)}
    return table


@dataclass(frozen=True)
class Seen:
    """What is compared of an image."""

    spectrum: NDArray[np.float32]
    detail: Detail

    @classmethod
    def of(cls, volume: Volume) -> "Seen":
        """Look at an image."""
        return cls(spectrum(volume), detail(volume))

    def compared(self, other: "Seen") -> tuple[float, float]:
        """Return how alike two images are in their spectra and in their details."""
        alike, order = best_order(self.spectrum, other.spectrum)
        return alike, overlap_correlation(self.detail, other.detail, order)


def copies(volume: Volume, rng: np.random.Generator) -> Iterator[Copy]:
    """Give copies of an image, each changed in one way.

    Args:
        volume: A skull-stripped image with 0 around it.
        rng: Source of noise.
    """
    image = np.asarray(volume.voxels, np.float32)
    yield from _rescaled(volume, image)
    yield from _moved(volume, image)
    yield from _blurred(volume, image, rng)


def _rescaled(volume: Volume, image: NDArray[np.float32]) -> Iterator[Copy]:
    inside = image != 0
    mean, deviation, most = image[inside].mean(), image[inside].std(), image.max()
    yield "32 grey levels", volume.with_voxels(np.rint(np.clip(image / most, 0, 1) * 31).astype(np.uint8))
    yield "z-scored", volume.with_voxels((image - mean) / deviation)
    yield "z-scored inside", volume.with_voxels(np.where(inside, (image - mean) / deviation, 0).astype(np.float32))
    yield "clipped at 99 %", volume.with_voxels(np.clip(image, 0, np.quantile(image[inside], 0.99)))
    yield "gamma 0.7", volume.with_voxels(most * np.clip(image / most, 0, 1) ** 0.7)
    yield "gamma 1.5", volume.with_voxels(most * np.clip(image / most, 0, 1) ** 1.5)
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    yield "bias field", volume.with_voxels((image * np.exp(0.4 * x + 0.3 * y**2)).astype(np.float32))


def _moved(volume: Volume, image: NDArray[np.float32]) -> Iterator[Copy]:
    affine, spacing = volume.ras_from_voxel, np.diag([*volume.spacing_mm, 1.0])
    yield "mirrored", Volume(image[::-1], affine)
    yield "turned, affine lost", Volume(image.transpose(2, 0, 1)[::-1], spacing[[2, 0, 1, 3]][:, [2, 0, 1, 3]])
    yield "moved by 1.7 voxels", Volume(ndimage.shift(image, (1.7, -0.6, 2.2), order=1), affine)
    box = tuple(
        slice(int(hits[0]), int(hits[-1]) + 1)
        for hits in (np.flatnonzero((image != 0).any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    tight = image[box]
    yield "cropped to the head", Volume(tight, spacing)
    yield "cut 5 voxels in", Volume(tight[5:, :-5, 5:], spacing)
    yield "cut 10 voxels in", Volume(tight[10:, :-10, 10:], spacing)
    for degrees in (1, 2, 5):
        yield f"turned by {degrees} degrees", Volume(ndimage.rotate(image, degrees, reshape=False, order=1), affine)


def _blurred(volume: Volume, image: NDArray[np.float32], rng: np.random.Generator) -> Iterator[Copy]:
    mean = image[image != 0].mean()
    yield "noise of 20 %", volume.with_voxels(image + rng.normal(0, 0.2 * mean, image.shape).astype(np.float32))
    real, imaginary = rng.normal(0, 0.3 * mean, (2, *image.shape)).astype(np.float32)
    yield "Rician noise of 30 %", volume.with_voxels(np.hypot(image + real, imaginary))
    for sigma in (1, 2, 3):
        yield f"smoothed, sigma {sigma}", volume.with_voxels(ndimage.gaussian_filter(image, sigma))
    coarse = np.diag([1.5, 1.5, 1.5, 1.0])
    yield "voxels 1.5 times", Volume(ndimage.zoom(image, 1 / 1.5, order=1), volume.ras_from_voxel @ coarse)
    depth = image.shape[2] // 3 * 3
    thick = image[:, :, :depth].reshape(*image.shape[:2], -1, 3).mean(-1)
    yield "slices 3 times", Volume(thick, volume.ras_from_voxel @ np.diag([1.0, 1.0, 3.0, 1.0]))


if __name__ == "__main__":
    main()
