"""Real scanner files, looked into: none of them is a structural image, and every one could become a volume."""

import os
import zipfile
from pathlib import Path

import pytest

from tds_clinical.dicom import inspect_study

ROOT = os.environ.get("TDS_REAL_DATA")
STUDIES = Path(ROOT or ".") / "dicom" / "dcm_qa_nih" / "In"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT or not STUDIES.is_dir(), reason="TDS_REAL_DATA holds no dicom/dcm_qa_nih"),
]


@pytest.mark.parametrize(
    ("study", "kind", "series", "volumes"),
    [("20180918GE", "classic", {"4", "5", "6", "7"}, 40), ("20180918Si", "mosaic", {"3", "4", "5", "6"}, 8)],
)
def test_every_volume_of_a_scanner_has_a_row(study: str, kind: str, series: set[str], volumes: int) -> None:
    table = inspect_study(STUDIES / study)
    assert len(table.rows) == volumes
    assert {row.name.partition(".")[0] for row in table.rows} == series
    for row in table.rows:
        assert (row.kind, row.guess, row.refused_because) == (kind, None, "")
        assert row.orientation.endswith("axial")
        assert "not a structural image" in row.reason


def test_an_archive_of_a_study_gives_the_same_table(tmp_path: Path) -> None:
    folder = STUDIES / "20180918Si"
    with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    assert inspect_study(tmp_path / "study.zip") == inspect_study(folder)
