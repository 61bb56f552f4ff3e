"""A small head with a tumour of three labels in its left front, and its report."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tds_data.case import Case
from tds_data.report import Lesion, LesionReport, ModelIdentity, QualityFlag, Severity
from tds_data.vocabulary import MODALITIES, REGION_LABELS, REGIONS, Modality, Region
from tds_data.volume import Volume

SHAPE = (40, 48, 30)
AFFINE = np.array([[3.0, 0, 0, -60], [0, 3.0, 0, -70], [0, 0, 4.0, -50], [0, 0, 0, 1]])
TUMOUR = (14, 30, 17)


def _distance(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    grid = np.indices(SHAPE).astype(float)
    return np.sqrt(sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)))


def _labels() -> np.ndarray:
    distance = _distance(TUMOUR, (1.0, 1.0, 0.75))
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for label, radius in ((2, 7.0), (3, 4.5), (1, 2.5)):
        labels[distance < radius] = label
    return labels


@pytest.fixture(scope="session")
def mask() -> Volume:
    return Volume(_labels(), AFFINE)


@pytest.fixture(scope="session")
def case(mask: Volume) -> Case:
    rng = np.random.default_rng(7)
    head = _distance((19.5, 23.5, 14.5), (17, 21, 13)) < 1
    images = {}
    for number, modality in enumerate(MODALITIES):
        signal = 100 + 10 * number + rng.normal(0, 3, SHAPE) + 20 * mask.voxels
        images[modality] = Volume((signal * head).astype(np.float32), AFFINE)
    return Case(name="head", images=images)


@pytest.fixture(scope="session")
def only(case: Case) -> Callable[..., Case]:
    """Return the case with these sequences alone."""

    def select(*modalities: Modality) -> Case:
        return Case(name=case.name, images={m: case.images[m] for m in modalities})

    return select


@pytest.fixture(scope="session")
def lesion(mask: Volume) -> Lesion:
    places = np.argwhere(mask.voxels) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    x, y, z = places.mean(axis=0).tolist()
    low, high = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return Lesion(
        number=1,
        centroid_mm=(x, y, z),
        bounding_box_mm=(tuple(low), tuple(high)),
        longest_diameter_mm=39.4,
        volume_ml={
            r: float(np.isin(mask.voxels, list(REGION_LABELS[r])).sum()) * mask.voxel_volume_ml for r in REGIONS
        },
    )


@pytest.fixture(scope="session")
def report(lesion: Lesion) -> LesionReport:
    return LesionReport(
        case="head",
        modalities=MODALITIES,
        lesions=(lesion,),
        volume_ml=lesion.volume_ml,
        quality=(
            QualityFlag(code="SLICES-THICK", severity=Severity.INFO, message="Slices are thick.", value="4.0 mm"),
            QualityFlag(code="TEST-WARNING", severity=Severity.WARNING, message="Read with care."),
        ),
        model=ModelIdentity(
            name="tds-test",
            version="0.1.0",
            sha256="0123456789abcdef" * 4,
            architecture="SegResNet",
            licence="CC-BY-4.0",
        ),
        timings_s={"read": 1.25, "infer": 3.5},
    )


@pytest.fixture(scope="session")
def nothing_found(report: LesionReport) -> LesionReport:
    return replace(report, lesions=(), volume_ml=dict.fromkeys(Region, 0.0))


@pytest.fixture(scope="session")
def empty_mask(mask: Volume) -> Volume:
    return mask.with_voxels(np.zeros(SHAPE, dtype=np.uint8))


@pytest.fixture(scope="session")
def phantom_report(report: LesionReport) -> LesionReport:
    return replace(report, phantom=True, dice={Region.WT: 0.91, Region.TC: 0.84})


def reorient(volume: Volume, order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    voxels, affine = np.transpose(volume.voxels, order), volume.ras_from_voxel.copy()
    affine[:, :3] = affine[:, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            voxels = np.flip(voxels, axis)
            affine[:, 3] += affine[:, axis] * (voxels.shape[axis] - 1)
            affine[:, axis] *= -1
    return Volume(voxels, affine)


@pytest.fixture(scope="session")
def reoriented() -> Callable[..., Volume]:
    """Return the same head as another scanner would have stored it."""
    return reorient
