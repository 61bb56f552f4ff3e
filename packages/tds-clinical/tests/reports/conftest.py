"""A small head with a tumour of three labels in its left front, and its report."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from PIL import Image

from tds_clinical.followup.model import (
    Assessment,
    ChangeKind,
    FollowUp,
    LesionChange,
    TimePointSummary,
)
from tds_clinical.measurement import Diameters, LesionMeasurement
from tds_clinical.reports import ReportOptions
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


@pytest.fixture(scope="session")
def many(lesion: Lesion, report: LesionReport) -> LesionReport:
    """Forty lesions, each with intervals, and a long list of findings of the quality gate."""
    shrunk = []
    for number in range(1, 41):
        volumes = {region: value / number for region, value in lesion.volume_ml.items()}
        intervals = {region: (0.9 * value, 1.1 * value) for region, value in volumes.items()}
        shrunk.append(replace(lesion, number=number, volume_ml=volumes, volume_interval_ml=intervals))
    flags = tuple(
        QualityFlag(code=f"CHECK-{n}", severity=Severity.WARNING, message="Seen and to be borne in mind. " * n)
        for n in range(1, 31)
    )
    return replace(report, lesions=tuple(shrunk), quality=flags, interval_method="Made up for a test.")


@pytest.fixture(scope="session")
def measurements() -> tuple[LesionMeasurement, ...]:
    line = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    whole = Diameters(
        longest_mm=40.25,
        perpendicular_mm=31.5,
        longest_ends_mm=line,
        perpendicular_ends_mm=line,
        axis=2,
        slice_index=17,
    )
    return (LesionMeasurement(lesion=1, diameters={Region.WT: whole}),)


@pytest.fixture(scope="session")
def follow_up(report: LesionReport) -> FollowUp:
    earlier = replace(report, volume_ml={Region.WT: 20.5, Region.TC: 6.0, Region.ET: 3.0})
    grown = LesionChange(
        kind=ChangeKind.MATCHED,
        before=(1,),
        after=(1,),
        place_mm=(0.0, 0.0, 0.0),
        volume_ml={Region.WT: (20.5, 46.0), Region.TC: (6.0, 12.5), Region.ET: (3.0, 3.25)},
        is_certain=True,
        volume_interval_ml={Region.WT: ((19.0, 22.0), (44.0, 48.0))},
    )
    new = replace(grown, kind=ChangeKind.NEW, before=(), after=(2,), is_certain=False, volume_interval_ml={})
    rano = Assessment(
        criteria="RANO 2.0",
        category="PD",
        sum_mm=(800.0, 1300.4),
        unit="mm2",
        reasons=("The sum grew by more than 25 %.", "There is a new lesion."),
    )
    recist = Assessment(
        criteria="RECIST 1.1",
        category="uncertain",
        sum_mm=(36.0, 40.25),
        unit="mm",
        reasons=("The sum grew by about 12 %.",),
        sum_interval=((34.0, 38.0), (38.0, 44.0)),
        possible=("SD", "PD"),
    )
    return FollowUp(
        points=(
            TimePointSummary(label="baseline", when=date(2025, 1, 3), report=earlier),
            TimePointSummary(label="2025-06-20", when=date(2025, 6, 20), report=report),
        ),
        changes=((grown, new),),
        assessments=(rano, recist),
        lesion_uids=({}, {}),
        quality=(QualityFlag(code="OTHER-SCANNER", severity=Severity.WARNING, message="Scanners differ."),),
    )


@pytest.fixture(scope="session")
def timeline() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 30), (250, 250, 250)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def full_options(
    measurements: tuple[LesionMeasurement, ...], follow_up: FollowUp, timeline: bytes
) -> Callable[..., ReportOptions]:
    """Return options that set everything, some of them otherwise."""

    def choose(**others: object) -> ReportOptions:
        options = ReportOptions(
            heading=(("Name", "Müller, Änne"), ("Born", "1961-04-05")),
            measurements=measurements,
            follow_up=follow_up,
            timeline=timeline,
            model_card=("Trained on made-up heads.", "Not for anything else."),
            made_at=datetime(2025, 6, 20, 14, 5, tzinfo=UTC),
        )
        return replace(options, **others)

    return choose
