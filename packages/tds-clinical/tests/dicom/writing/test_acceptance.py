"""What programs that we did not write say of the objects: a validator, readers, a server."""

import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from highdicom.sr import MeasurementReport, srread
from pydicom.sr.codedict import codes
from pynetdicom import AE

from tds_clinical.codes import LONG_AXIS, SHORT_AXIS, VOLUME
from tds_clinical.dicom.writing.filing import FilingOptions, write_results
from tds_clinical.dicom.writing.key_images import KeyPicture
from tds_clinical.dicom.writing.segmentation import SegmentationKind
from tds_clinical.findings import ResultContext
from tds_data.vocabulary import Region

PDF = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n!"
PICTURES = (
    KeyPicture(pixels=np.random.default_rng(1).integers(0, 256, (15, 21, 3), np.uint8), title="All lesions"),
    KeyPicture(pixels=np.random.default_rng(2).integers(0, 256, (9, 7, 3), np.uint8), title="Lesion 1", lesion=1),
)
NAMES = ["key-image-1.dcm", "key-image-2.dcm", "report.dcm", "rtstruct.dcm", "seg.dcm", "sr.dcm"]


@pytest.fixture(scope="module")
def filed(context: ResultContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filed")
    write_results(folder, context, pdf=PDF, pictures=PICTURES)
    return folder


@pytest.fixture(scope="module")
def filed_empty(empty_context: ResultContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filed_empty")
    write_results(folder, empty_context, pdf=PDF, pictures=PICTURES[:1])
    return folder


@pytest.fixture(scope="module")
def filed_label_map(context: ResultContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filed_label_map")
    write_results(folder, context, pdf=None, options=FilingOptions(segmentation=SegmentationKind.LABELMAP))
    return folder


def tool(name: str, package: str) -> str:
    # Not from the environment's own folder: pynetdicom installs programs there that only have the names of dcmtk's.
    own = Path(sys.executable).parent
    folders = [folder for folder in os.get_exec_path() if Path(folder) != own]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        reason = f"{name} is not installed: apt-get install {package}"
        if os.environ.get("CI") == "true":  # there its absence is a failure, not a skip
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)  # noqa: S603  # fixed programs


def test_every_object_is_filed(filed: Path) -> None:
    assert sorted(p.name for p in filed.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_validator_finds_no_error(filed: Path, name: str) -> None:
    lines = run(tool("dciodvfy", "dicom3tools"), "-new", filed / name).stderr.splitlines()
    assert [line for line in lines if line.startswith("Error")] == []
    assert lines  # it names the object that it found


@pytest.mark.parametrize("name", ["key-image-1.dcm", "report.dcm", "sr.dcm"])
def test_the_validator_finds_no_error_where_nothing_was_found(filed_empty: Path, name: str) -> None:
    lines = run(tool("dciodvfy", "dicom3tools"), "-new", filed_empty / name).stderr.splitlines()
    assert [line for line in lines if line.startswith("Error")] == []
    assert lines


def tid1500reader(document: Path, folder: Path) -> dict[str, Any]:
    program = Path(sys.executable).parent / "tid1500reader"
    answer = run(program, "--inputDICOM", document, "--outputMetadata", folder / "report.json")
    assert answer.returncode == 0, answer.stderr
    read: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return read


def quantities(group: dict[str, Any]) -> dict[str, float]:
    return {item["quantity"]["CodeValue"]: float(item["value"]) for item in group["measurementItems"]}


def test_dcmqi_reads_the_numbers_of_each_segment(filed: Path, context: ResultContext, tmp_path: Path) -> None:
    read = tid1500reader(filed / "sr.dcm", tmp_path)
    groups = {group["TrackingUniqueIdentifier"]: group for group in read["Measurements"]}
    segmentation = pydicom.dcmread(filed / "seg.dcm")
    for segment in context.findings.segments:
        group = groups[segment.tracking_uid]
        assert group["TrackingIdentifier"] == segment.tracking_id
        assert group["ReferencedSegment"] == segment.number
        assert group["segmentationSOPInstanceUID"] == segmentation.SOPInstanceUID
        assert group["SourceSeriesForImageSegmentation"] == context.source.header.SeriesInstanceUID
        assert quantities(group)[VOLUME.value] == pytest.approx(segment.volume_ml, rel=1e-9)
        assert group["measurementItems"][0]["units"]["CodeValue"] == "cm3"


def test_dcmqi_reads_the_numbers_of_each_region(filed: Path, context: ResultContext, tmp_path: Path) -> None:
    read = tid1500reader(filed / "sr.dcm", tmp_path)
    groups = {group["TrackingUniqueIdentifier"]: group for group in read["Measurements"]}
    findings = context.findings
    measured = zip(findings.report.lesions, findings.measurements, strict=True)
    for lesion, diameters in measured:
        for region in (Region.WT, Region.TC):
            group = groups[findings.region_uid(lesion.number, region, context.uids)]
            assert quantities(group) == pytest.approx(
                {
                    VOLUME.value: lesion.volume_ml[region],
                    LONG_AXIS.value: diameters.diameters[region].longest_mm,
                    SHORT_AXIS.value: diameters.diameters[region].perpendicular_mm,
                },
                rel=1e-9,
            )


def test_dcmqi_reads_who_observed_and_that_nobody_verified(filed: Path, tmp_path: Path) -> None:
    read = tid1500reader(filed / "sr.dcm", tmp_path)
    assert read["observerContext"]["ObserverType"] == "DEVICE"
    assert read["observerContext"]["DeviceObserverName"] == "phantom-model 1.2.3"
    assert read["VerificationFlag"] == "UNVERIFIED"


def test_dcmqi_reads_that_nothing_was_found(filed_empty: Path, tmp_path: Path) -> None:
    read = tid1500reader(filed_empty / "sr.dcm", tmp_path)
    assert [quantities(group)[VOLUME.value] for group in read["Measurements"]] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("folder", ["filed", "filed_empty"])
def test_dcmtk_reads_the_report(folder: str, request: pytest.FixtureRequest) -> None:
    document = request.getfixturevalue(folder) / "sr.dcm"
    answer = run(tool("dsrdump", "dcmtk"), "--print-all-codes", document)
    assert answer.returncode == 0, answer.stderr
    # It checks no values in UTF-8, and says so; it would also say what it cannot interpret.
    assert [line for line in answer.stderr.splitlines() if "Specific Character Set" not in line] == []
    assert "Preliminary Flag    : PRELIMINARY" in answer.stdout
    assert "Research use only" in answer.stdout


def test_highdicom_reads_the_report(filed: Path, context: ResultContext) -> None:
    report = srread(filed / "sr.dcm").content
    assert isinstance(report, MeasurementReport)
    groups = report.get_volumetric_roi_measurement_groups()
    assert [group.tracking_uid for group in groups] == [s.tracking_uid for s in context.findings.segments]
    volumes = [group.get_measurements(name=codes.SCT.Volume)[0].value for group in groups]
    assert volumes == [segment.volume_ml for segment in context.findings.segments]
    assert {site.value for group in groups for site in group.finding_sites} == {codes.SCT.Brain}


def is_held(server: Any, path: Path) -> bool:
    """Tell whether a server holds a file's elements, pixels included, with the same values and transfer syntax."""
    sent = pydicom.dcmread(path)
    held = pydicom.dcmread(BytesIO(server.file(sent.SOPInstanceUID)))
    assert held.get("PixelData") == sent.get("PixelData")
    return held == sent and held.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("folder", ["filed", "filed_empty", "filed_label_map"])
def test_orthanc_takes_all_objects_from_pynetdicom_and_holds_them_as_they_are(
    folder: str, orthanc: Any, request: pytest.FixtureRequest
) -> None:
    orthanc.clear()
    paths = sorted(request.getfixturevalue(folder).iterdir())
    datasets = [pydicom.dcmread(path) for path in paths]
    entity = AE(ae_title="TESTER")
    for dataset in datasets:
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", orthanc.dicom_port, ae_title=orthanc.title)
    assert association.is_established
    try:
        assert [int(association.send_c_store(dataset).Status) for dataset in datasets] == [0] * len(paths)
    finally:
        association.release()
    assert all(is_held(orthanc, path) for path in paths)


def test_orthanc_takes_all_objects_from_dcmtk_and_holds_them_as_they_are(filed: Path, orthanc: Any) -> None:
    orthanc.clear()
    paths = sorted(filed.iterdir())
    program = tool("storescu", "dcmtk")
    answer = run(program, "-R", "-aec", orthanc.title, "127.0.0.1", orthanc.dicom_port, *paths)
    assert answer.returncode == 0, answer.stderr
    assert all(is_held(orthanc, path) for path in paths)


@pytest.mark.parametrize("folder", ["filed", "filed_empty", "filed_label_map"])
def test_orthanc_takes_all_objects_by_stow_and_returns_them_as_they_are(
    folder: str, orthanc: Any, request: pytest.FixtureRequest
) -> None:
    orthanc.clear()
    datasets = [pydicom.dcmread(path) for path in sorted(request.getfixturevalue(folder).iterdir())]
    client = DICOMwebClient(orthanc.dicom_web_url, session=create_session_from_user_pass(*orthanc.user))
    answer = client.store_instances(datasets)
    assert len(answer.get("FailedSOPSequence", [])) == 0
    for dataset in datasets:
        returned = client.retrieve_instance(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
        assert returned.get("PixelData") == dataset.get("PixelData")
        assert returned == dataset


def test_orthanc_shows_one_study_of_one_patient(filed: Path, orthanc: Any, context: ResultContext) -> None:
    client = DICOMwebClient(orthanc.dicom_web_url, session=create_session_from_user_pass(*orthanc.user))
    orthanc.clear()
    client.store_instances([pydicom.dcmread(path) for path in filed.iterdir()])
    (study,) = client.search_for_studies()
    assert study["0020000D"]["Value"] == [context.source.header.StudyInstanceUID]
    series = client.search_for_series(study["0020000D"]["Value"][0])
    assert sorted(s["00080060"]["Value"][0] for s in series) == ["DOC", "OT", "RTSTRUCT", "SEG", "SR"]
