"""Results on real scanner files, whose headers hold what phantoms do not: private elements, mosaics, odd values."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tds_clinical.dicom import read_series, read_series_headers, read_source
from tds_clinical.dicom.writing.filing import write_results
from tds_clinical.dicom.writing.key_images import KeyPicture
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.uids import Uids
from tds_data.volume import Volume

ROOT = os.environ.get("TDS_REAL_DATA")
DATA = Path(ROOT or ".") / "dicom" / "dcm_qa_nih" / "In"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT or not DATA.is_dir(), reason="TDS_REAL_DATA holds no dicom/dcm_qa_nih"),
]


@pytest.mark.parametrize("study", ["20180918GE", "20180918Si"])
def test_results_on_real_files_agree_and_are_valid(study: str, tmp_path: Path, report_on: Any) -> None:
    program = shutil.which("dciodvfy")
    assert program, "dciodvfy is not installed: apt-get install dicom3tools"
    series = read_series_headers(DATA / study)[0]
    image = read_series(series)
    labels = np.zeros(image.shape, np.uint8)
    labels[20:31, 25:33, 1:4] = 2
    labels[23:27, 27:31, 2] = 3
    labels[40, 40, 4] = 1
    mask = Volume(labels, image.ras_from_voxel)
    uids = Uids.reproducible("real", study)
    context = ResultContext(
        source=read_source(series),
        findings=find_findings(mask, report_on(mask), uids),
        uids=uids,
        made_at=datetime(2000, 1, 2, tzinfo=UTC),
    )
    picture = KeyPicture(pixels=np.zeros((4, 4, 3), np.uint8), title="All lesions")
    written = write_results(tmp_path, context, pdf=b"%PDF-1.4", pictures=[picture])
    assert [reference.kind for reference in written] == ["seg", "rtstruct", "key-image", "report", "sr"]
    for reference in written:
        command = [program, "-new", str(tmp_path / reference.file_name)]
        report = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a fixed program
        assert [line for line in report.stderr.splitlines() if line.startswith("Error")] == []
        assert pydicom.dcmread(tmp_path / reference.file_name).PatientID == context.source.header.PatientID
