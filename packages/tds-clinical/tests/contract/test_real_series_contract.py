"""The geometry contract on scanner files: segmentations lie where dcm2niix, which shares no code, has the voxels."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tds_clinical.dicom import read_series, read_series_headers, read_source
from tds_clinical.dicom.writing.segmentation import SegmentationKind, build_segmentation
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.uids import Uids
from tds_data.vocabulary import Label

from .cases import ContractCase
from .readers import Points, read_with_dcmqi, read_with_highdicom, read_with_pydicom, read_with_tds

ROOT = os.environ.get("TDS_REAL_DATA")
DATA = Path(ROOT or ".") / "dicom" / "dcm_qa_nih"
DCIODVFY = shutil.which("dciodvfy")

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT or not DATA.is_dir(), reason="TDS_REAL_DATA holds no dicom/dcm_qa_nih"),
]

SERIES = [
    *(("20180918GE", number, f"DCM2NIIX_regression_test_{number}") for number in (4, 5, 6, 7)),
    *(
        ("20180918Si", number, f"EPI_PE={direction}_{number}")
        for number, direction in ((3, "AP"), (4, "PA"), (5, "RL"), (6, "LR"))
    ),
]


def together(found: Mapping[int, Points]) -> Points:
    points = np.concatenate(list(found.values()))
    return points[np.lexsort(np.round(points, 2).T)]


def segment(study: str, number: int, folder: Path, kind: SegmentationKind) -> tuple[Path, float]:
    """Return a segmentation of the brightest voxels of the first time point, and what they are brighter than."""
    series = next(s for s in read_series_headers(DATA / "In" / study) if s.number == number)
    image, source = read_series(series), read_source(series)
    bright = float(np.quantile(image.voxels, 0.995))
    mask = image.with_voxels(np.where(image.voxels > bright, Label.ET, Label.BACKGROUND).astype(np.uint8))
    report = ContractCase(labels=np.asarray(mask.voxels), ras_from_voxel=mask.ras_from_voxel).report()
    uids = Uids("real")
    findings = find_findings(mask, report, uids)
    made_at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    context = ResultContext(source=source, findings=findings, uids=uids, made_at=made_at)
    build_segmentation(context, kind=kind).save_as(folder / "seg.dcm", enforce_file_format=True)
    return folder / "seg.dcm", bright


@pytest.mark.parametrize("kind", SegmentationKind)
@pytest.mark.parametrize(("study", "number", "reference"), SERIES)
def test_segmentations_lie_where_dcm2niix_has_the_voxels(
    study: str, number: int, reference: str, kind: SegmentationKind, tmp_path: Path
) -> None:
    path, bright = segment(study, number, tmp_path, kind)
    theirs = nib.load(DATA / "Ref" / f"{reference}.nii")
    where = np.argwhere(np.asarray(theirs.dataobj)[..., 0] > bright)
    true = together({1: where @ theirs.affine[:3, :3].T + theirs.affine[:3, 3]})
    for read in (read_with_pydicom, read_with_highdicom, read_with_dcmqi, read_with_tds):
        found = together(read(path))
        assert found.shape == true.shape
        np.testing.assert_allclose(found, true, atol=1e-2)


@pytest.mark.skipif(
    DCIODVFY is None and os.environ.get("CI") != "true",  # under CI its absence is a failure, not a skip
    reason="dciodvfy is not installed: apt-get install dicom3tools",
)
@pytest.mark.parametrize(("study", "number"), [("20180918GE", 4), ("20180918Si", 3)])
def test_dciodvfy_prints_no_error_for_segmentations_of_scanner_files(study: str, number: int, tmp_path: Path) -> None:
    assert DCIODVFY, "dciodvfy is not installed: apt-get install dicom3tools"
    path, _ = segment(study, number, tmp_path, SegmentationKind.BINARY)
    said = subprocess.run([DCIODVFY, "-new", path], capture_output=True, text=True, check=False).stderr  # noqa: S603  # a fixed program
    assert "Segmentation" in said
    assert "Error" not in said, said
