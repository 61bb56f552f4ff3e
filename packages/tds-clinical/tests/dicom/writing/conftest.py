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
from tds_data.report import Lesion, LesionReport, ModelIdentity, Point, QualityFlag, Severity
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
    low, high, centre = (_point(place) for place in (places.min(axis=0), places.max(axis=0), places.mean(axis=0)))
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


def _point(place: NDArray[np.float64]) -> Point:
    x, y, z = map(float, place)
    return x, y, z


@pytest.fixture(scope="session", name="report_on")
def report_maker() -> Callable[[Volume], LesionReport]:
    return report_on


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


@dataclass(frozen=True, slots=True)
class ContextMaker:
    """Makes contexts on the source's grid."""

    source: SourceSeries

    def __call__(self, labels: Volume, report: LesionReport | None = None) -> ResultContext:
        uids = Uids.reproducible("a study", "a mask")
        return ResultContext(
            source=self.source,
            findings=find_findings(labels, report or report_on(labels), uids),
            uids=uids,
            made_at=datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC),
        )


@pytest.fixture(scope="session")
def make_context(source: SourceSeries) -> ContextMaker:
    return ContextMaker(source)


@pytest.fixture(scope="session")
def context(make_context: ContextMaker, mask: Volume) -> ResultContext:
    return make_context(mask)


@pytest.fixture(scope="session")
def empty_context(make_context: ContextMaker, mask: Volume) -> ResultContext:
    return make_context(mask.with_voxels(np.zeros(SHAPE, np.uint8)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthanc:
    """A running server, empty at first and shared by all tests.

    Attributes:
        http_url: Its REST interface.
        dicom_port: Where it takes DIMSE associations, on the loopback address.
        title: Its application entity title.
        user: Name and password of its one user.
    """

    http_url: str
    dicom_port: int
    title: str
    user: tuple[str, str]

    @property
    def dicom_web_url(self) -> str:
        return f"{self.http_url}/dicom-web"

    def ids(self, sop_instance_uid: str) -> list[str]:
        """Return the server's own names of an object: none, or one."""
        found = requests.post(f"{self.http_url}/tools/lookup", data=sop_instance_uid, auth=self.user, timeout=10)
        return [entry["ID"] for entry in found.json() if entry["Type"] == "Instance"]

    def file(self, sop_instance_uid: str) -> bytes:
        """Return an object as the server holds it."""
        (name,) = self.ids(sop_instance_uid)
        answer = requests.get(f"{self.http_url}/instances/{name}/file", auth=self.user, timeout=10)
        answer.raise_for_status()
        return answer.content

    def clear(self) -> None:
        """Delete everything that the server holds."""
        for name in requests.get(f"{self.http_url}/instances", auth=self.user, timeout=10).json():
            requests.delete(f"{self.http_url}/instances/{name}", auth=self.user, timeout=10).raise_for_status()


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    program = shutil.which("Orthanc")
    if program is None or not DICOM_WEB_PLUGIN.exists():
        reason = "Orthanc is not installed: apt-get install orthanc orthanc-dicomweb"
        if os.environ.get("CI") == "true":  # there its absence is a failure, not a skip
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("orthanc")
    server = Orthanc(
        http_url=f"http://127.0.0.1:{_free_port()}", dicom_port=_free_port(), title="ORTHANC", user=("tester", "secret")
    )
    config = folder / "orthanc.json"
    config.write_text(json.dumps(_orthanc_config(server, folder)))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([program, str(config)], stdout=log, stderr=log)  # noqa: S603  # a fixed program
        try:
            _await_orthanc(server, process, folder / "log.txt")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def _orthanc_config(server: Orthanc, folder: Path) -> dict[str, object]:
    user, password = server.user
    return {
        "Name": "test",
        "HttpPort": int(server.http_url.rpartition(":")[2]),
        "DicomPort": server.dicom_port,
        "DicomAet": server.title,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {user: password},
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(DICOM_WEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "DicomAlwaysAllowStore": True,
        "UnknownSopClassAccepted": True,  # for label maps, which it is too old to know
        "OverwriteInstances": True,
    }


def _await_orthanc(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{server.http_url}/system", auth=server.user, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    pytest.fail(f"Orthanc did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
