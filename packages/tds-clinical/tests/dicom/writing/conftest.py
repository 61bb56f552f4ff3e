"""What tests of writers share: a study with lesions, and a real Orthanc server."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from scipy import ndimage

from tds_clinical.dicom.series import scan_folder
from tds_clinical.dicom.source import SourceSeries, read_source
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_clinical.uids import Uids
from tds_data.report import Lesion, LesionReport, ModelIdentity, QualityFlag, Severity
from tds_data.vocabulary import REGION_LABELS, REGIONS, Label, Modality
from tds_data.volume import Volume

SHAPE = (24, 20, 10)
MODEL = ModelIdentity(name="phantom-model", version="1.2.3", sha256="ab" * 32, architecture="SegResNet", licence="MIT")
DICOM_WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def draw_mask(affine: NDArray[np.float64]) -> Volume:
    """Return a lesion with all labels, one of oedema and enhancement, and one of a single voxel."""
    grid = np.indices(SHAPE)
    voxels = np.zeros(SHAPE, np.uint8)
    for centre, radii in (((8, 9, 4), ((6, 5, 3), (4, 3, 2), (2, 2, 1))), ((18, 4, 7), ((3, 3, 1), (1.5, 1.5, 0.5)))):
        offsets = grid - np.array(centre).reshape(3, 1, 1, 1)
        for radius, label in zip(radii, (Label.ED, Label.ET, Label.NCR), strict=False):
            ball = ((offsets / np.array(radius).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) <= 1
            voxels[ball] = label
    voxels[22, 17, 1] = Label.ET
    return Volume(voxels, affine)


def report_on(mask: Volume) -> LesionReport:
    """Return what a program would report about a mask, with a volume's interval and quality flags."""
    components, count = ndimage.label(mask.voxels != 0, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    order = 1 + np.argsort(-sizes, kind="stable")
    lesions = tuple(_lesion(mask, components == component, n) for n, component in enumerate(order, start=1))
    totals = {region: sum(lesion.volume_ml[region] for lesion in lesions) for region in REGIONS}
    return LesionReport(
        case="phantom",
        modalities=(Modality.T1, Modality.T1CE, Modality.T2, Modality.FLAIR),
        lesions=lesions,
        volume_ml=totals,
        volume_interval_ml={region: (0.75 * value, 1.5 * value) for region, value in totals.items()},
        interval_method="a made-up method",
        quality=(
            QualityFlag(code="THICK-SLICES", severity=Severity.WARNING, message="Slices are thick.", value="4 mm"),
            QualityFlag(code="LOW-CONTRAST", severity=Severity.INFO, message="Contrast is low.", subject="t2"),
        ),
        model=MODEL,
    )


def _lesion(mask: Volume, where: NDArray[np.bool_], number: int) -> Lesion:
    places = np.argwhere(where) @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
    low, high, centre = (tuple(map(float, p)) for p in (places.min(axis=0), places.max(axis=0), places.mean(axis=0)))
    inside = mask.voxels[where]
    volumes = {r: float(np.isin(inside, list(REGION_LABELS[r])).sum()) * mask.voxel_volume_ml for r in REGIONS}
    return Lesion(
        number=number,
        centroid_mm=centre,
        bounding_box_mm=(low, high),
        longest_diameter_mm=float(np.linalg.norm(np.subtract(high, low))),
        volume_ml=volumes,
        volume_interval_ml={r: (0.75 * v, 1.5 * v) for r, v in volumes.items()},
    )


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceSeries:
    turn = np.deg2rad(25.0)
    cosines = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = cosines * (0.9, 1.1, 4.0)
    affine[:3, 3] = (-31.5, 12.25, 70.0)
    folder = tmp_path_factory.mktemp("source")
    image = Volume(np.random.default_rng(7).integers(0, 900, SHAPE).astype(np.uint16), affine)
    write_classic_series(image, folder, ClassicSeriesOptions(modality=Modality.T1CE, series_number=3))
    return read_source(scan_folder(folder).series[0])


@pytest.fixture(scope="session")
def mask(source: SourceSeries) -> Volume:
    return draw_mask(source.ras_from_voxel)


@pytest.fixture(scope="session")
def make_context(source: SourceSeries) -> Callable[[Volume], ResultContext]:
    def make(labels: Volume, **changes: object) -> ResultContext:
        uids = Uids.reproducible("a study", "a mask")
        report = changes.pop("report", None) or report_on(labels)
        assert isinstance(report, LesionReport)
        return ResultContext(
            source=source,
            findings=find_findings(labels, report, uids),
            uids=uids,
            made_at=datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC),
            **changes,
        )

    return make


@pytest.fixture(scope="session")
def context(make_context: Callable[[Volume], ResultContext], mask: Volume) -> ResultContext:
    return make_context(mask)


@pytest.fixture(scope="session")
def empty_context(make_context: Callable[[Volume], ResultContext], mask: Volume) -> ResultContext:
    return make_context(mask.with_voxels(np.zeros(SHAPE, np.uint8)))
