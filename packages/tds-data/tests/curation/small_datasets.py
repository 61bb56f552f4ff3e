"""Small data sets with a manifest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tds_data import Volume, write_volume
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SHAPE = (52, 60, 44)


def brain(seed: int, *, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """Skull-stripped tissue of a random pattern, in one outline for every seed: patients in one atlas space."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    pattern = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0)
    return np.where(inside, 400 + 80 * pattern / pattern.std(), 0).astype(np.float32)


def entry(root: Path, path: str, volume: Volume, *, index: int | None = None) -> FileEntry:
    """Write a file and return what a manifest says of it."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    write_volume(root / path, volume)
    data = (root / path).read_bytes()
    return FileEntry(path=path, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), index=index)


def case(
    root: Path, name: str, image: Volume, *, patient: str | None = None, attributes: Mapping[str, str] | None = None
) -> CaseEntry:
    """One case with one image and a mask of 1 mL."""
    mask = Volume(np.ones((10, 10, 10), np.uint8), np.eye(4))
    return CaseEntry(
        name=name,
        patient=patient or name,
        images={"t1": entry(root, f"{name}/t1.nii.gz", image)},
        mask=entry(root, f"{name}/mask.nii.gz", mask),
        attributes=attributes or {},
    )


def manifest_of(root: Path, cases: list[CaseEntry], scheme: str = "brats-2023") -> Manifest:
    """A manifest of cases."""
    return Manifest(layout="folders", cases=tuple(cases), scheme=scheme, root=root)


def imagined(names: Mapping[str, str], *, unmasked: tuple[str, ...] = (), **attributes: Mapping[str, str]) -> Manifest:
    """A manifest without files, of cases with their patients."""
    cases = [
        CaseEntry(
            name=name,
            patient=patient,
            images={"t1": FileEntry(path=f"{name}.nii", sha256="0" * 64, size_bytes=1)},
            mask=None if name in unmasked else FileEntry(path=f"{name}-m.nii", sha256="1" * 64, size_bytes=1),
            attributes={key: values[name] for key, values in attributes.items() if name in values},
        )
        for name, patient in names.items()
    ]
    return manifest_of(Path("/nowhere"), cases)
