"""Small data sets in every layout, written with nibabel alone, and a way to compare them by meaning."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tds_data.datasets import CaseEntry, FileEntry, Manifest, find_scheme

AFFINE = np.array([[-1.0, 0, 0, 20], [0, -1.5, 0, 30], [0, 0, 2, -10], [0, 0, 0, 1]])
SHAPE = (5, 4, 3)
MODALITIES = ("t1", "t1ce", "t2", "flair")
OLD = {"t1": "_t1", "t1ce": "_t1ce", "t2": "_t2", "flair": "_flair"}
NEW = {"t1": "-t1n", "t1ce": "-t1c", "t2": "-t2w", "flair": "-t2f"}


def voxels(seed: int, shape: tuple[int, ...] = SHAPE, dtype: Any = np.int16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)


def mask(labels: Sequence[int], seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A mask in which every label occurs."""
    found = np.random.default_rng(seed).choice([0, *labels], shape).astype(np.uint8)
    found.flat[: len(labels)] = list(labels)
    return found


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def write_json(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def brats(
    root: Path,
    names: Sequence[str],
    labels: Sequence[int] | None = (1, 2, 4),
    *,
    ends: Mapping[str, str] = OLD,
    suffix: str = ".nii.gz",
    sequences: Sequence[str] = MODALITIES,
) -> Path:
    sep = ends["t1"][0]
    for seed, name in enumerate(names):
        case = name.rpartition("/")[2]
        for number, key in enumerate(sequences):
            save(root / name / f"{case}{ends[key]}{suffix}", voxels(10 * seed + number))
        if labels is not None:
            save(root / name / f"{case}{sep}seg{suffix}", mask(labels, seed))
    return root


def decathlon(root: Path, names: Sequence[str] = ("BRATS_001", "BRATS_002"), **changes: Any) -> Path:
    for seed, name in enumerate(names):
        save(root / "imagesTr" / f"{name}.nii.gz", voxels(seed, (*SHAPE, 4)))
        save(root / "labelsTr" / f"{name}.nii.gz", mask((1, 2, 3), seed))
    save(root / "imagesTs" / "BRATS_900.nii.gz", voxels(900, (*SHAPE, 4)))
    training = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names]
    document = {
        "name": "BRATS",
        "licence": "CC-BY-SA 4.0",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "numTraining": len(names),
        "training": training,
        "test": ["./imagesTs/BRATS_900.nii.gz"],
    }
    write_json(root / "dataset.json", {**document, **changes})
    return root


def nnunet(
    root: Path,
    names: Sequence[str] = ("a_001", "a_002"),
    *,
    channels: Sequence[str] = ("T1", "T1ce", "T2", "FLAIR"),
    labels: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    for seed, name in enumerate(names):
        for number, _ in enumerate(channels):
            save(root / "imagesTr" / f"{name}_{number:04d}.nii.gz", voxels(10 * seed + number))
        save(root / "labelsTr" / f"{name}.nii.gz", mask((1, 2, 3), seed))
    document = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": labels or {"background": 0, "NCR": 1, "ED": 2, "ET": 3},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    write_json(root / "dataset.json", {**document, **more})
    return root


def bids(root: Path) -> Path:
    write_json(root / "dataset_description.json", {"Name": "heads", "BIDSVersion": "1.9.0", "License": "CC0"})
    for subject, sessions in (("01", ("ses-1", "ses-2")), ("02", (None,))):
        for number, session in enumerate(sessions):
            folder = f"sub-{subject}" if session is None else f"sub-{subject}/{session}"
            start = folder.replace("/", "_")
            for seed, end in enumerate(("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")):
                save(root / folder / "anat" / f"{start}_{end}.nii.gz", voxels(int(subject) * 100 + number * 10 + seed))
            masks = root / "derivatives" / "experts" / folder / "anat"
            save(masks / f"{start}_dseg.nii.gz", mask((1, 2, 3), number))
    (root / "derivatives" / "experts" / "dseg.tsv").write_text(
        "index\tname\n0\tbackground\n1\tnecrosis\n2\tedema\n3\tenhancing tumor\n", encoding="utf-8"
    )
    (root / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t61\tF\nsub-02\tn/a\tM\n", encoding="utf-8"
    )
    (root / "sub-01" / "sub-01_sessions.tsv").write_text(
        "session_id\ttreatment\nses-1\tnone\nses-2\tsurgery\n", encoding="utf-8"
    )
    return root


def hecktor(root: Path) -> Path:
    for seed, name in enumerate(("CHUM-001", "MDA-002")):
        save(root / "imagesTr" / f"{name}__CT.nii.gz", voxels(seed, (8, 8, 4)))
        save(root / "imagesTr" / f"{name}__PT.nii.gz", voxels(seed + 50, (4, 4, 4)), np.diag([4.0, 4, 4, 1]))
        save(root / "labelsTr" / f"{name}.nii.gz", mask((1, 2), seed, (8, 8, 4)))
    save(root / "imagesTs" / "USZ-003__CT.nii.gz", voxels(60))
    save(root / "imagesTs" / "USZ-003__PT.nii.gz", voxels(61))
    (root / "clinical.csv").write_text("PatientID,Age,Gender\nCHUM-001,55,M\nMDA-002,,F\n", encoding="utf-8")
    return root


def lits(root: Path) -> Path:
    for number in (0, 10):
        save(root / "batch 1" / f"volume-{number}.nii", voxels(number))
        save(root / "batch 1" / f"segmentation-{number}.nii", mask((1, 2), number))
    save(root / "test" / "test-volume-0.nii", voxels(77))
    return root


def folders(root: Path) -> Path:
    for seed, name in enumerate(("first visit", "Zürich/zweite")):
        for number, file in enumerate(("T1.nii.gz", "T1_post.nii.gz", "T2.nii.gz", "FLAIR.nii.gz")):
            save(root / name / file, voxels(10 * seed + number))
        save(root / name / "seg.nii.gz", mask((1, 2, 3), seed))
    return root


@dataclass(frozen=True)
class Meaning:
    """A case without the ways in which layouts differ."""

    patient: str
    images: dict[str, tuple[bytes, tuple[int, ...], bytes]]
    tissues: dict[str, bytes]
    attributes: dict[str, str]
    phantom: bool


def meaning(manifest: Manifest) -> dict[str, Meaning]:
    """Every case as nibabel reads it: values and affines, and for each tissue the voxels that hold it."""
    tissues = find_scheme(manifest.scheme, manifest.labels).tissues
    return {case.name: _case_meaning(manifest, case, tissues) for case in manifest.cases}


def _case_meaning(manifest: Manifest, case: CaseEntry, tissues: Mapping[int, str]) -> Meaning:
    def read(file: FileEntry) -> tuple[np.ndarray, np.ndarray]:
        image = nib.load(manifest.path(file))
        array = np.asarray(image.dataobj)
        return (array if file.index is None else array[..., file.index]), image.affine

    images = {}
    for key, file in case.images.items():
        array, affine = read(file)
        images[key] = (np.asarray(array, np.float64).tobytes(), array.shape, np.asarray(affine, np.float64).tobytes())
    present = {}
    if case.mask is not None:
        array, _ = read(case.mask)
        numbers = {int(n) for n in np.unique(array)} - {0}
        present = {tissues[number]: (array == number).tobytes() for number in numbers}
    return Meaning(case.patient, images, present, dict(case.attributes), case.phantom)


def hashes(root: Path) -> dict[str, str]:
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The functions above, for tests."""
    builders: list[Callable[..., Any]] = [brats, decathlon, nnunet, bids, hecktor, lits, folders]
    tools: list[Callable[..., Any]] = [voxels, mask, save, write_json, meaning, hashes]
    constants = {"AFFINE": AFFINE, "SHAPE": SHAPE, "MODALITIES": MODALITIES, "OLD": OLD, "NEW": NEW}
    return SimpleNamespace(**{f.__name__: f for f in builders + tools}, **constants)
