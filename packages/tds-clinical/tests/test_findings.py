from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from tds_clinical.dicom.source import SourceSeries
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext, find_findings, mask_digest
from tds_clinical.testing.mask_report import report_mask
from tds_clinical.uids import Uids
from tds_data.report import LesionReport
from tds_data.vocabulary import REGIONS, Label, Region
from tds_data.volume import Volume

AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
UIDS = Uids("tests")


@pytest.fixture
def mask() -> Volume:
    """Return a lesion of all labels, and a smaller one of oedema and enhancement."""
    voxels = np.zeros((12, 10, 8), np.uint8)
    voxels[1:6, 1:6, 1:6] = Label.ED
    voxels[2:5, 2:5, 2:5] = Label.ET
    voxels[3, 3, 3] = Label.NCR
    voxels[9:11, 7:9, 2:4] = Label.ED
    voxels[9, 7, 2] = Label.ET
    return Volume(voxels, AFFINE)


@pytest.fixture
def report(mask: Volume) -> LesionReport:
    return report_mask(mask)


def test_segments_are_the_labels_of_each_lesion_and_together_the_mask(mask: Volume, report: LesionReport) -> None:
    found = find_findings(mask, report, UIDS)
    assert [(s.number, s.lesion, s.label, s.voxels) for s in found.segments] == [
        (1, 1, Label.NCR, 1),
        (2, 1, Label.ED, 98),
        (3, 1, Label.ET, 26),
        (4, 2, Label.ED, 7),
        (5, 2, Label.ET, 1),
    ]
    assert [s.volume_ml for s in found.segments] == pytest.approx([0.003, 0.294, 0.078, 0.021, 0.003])
    assert len({s.tracking_uid for s in found.segments} | set(found.lesion_uids.values())) == 7
    covered = sum(found.voxels_of(segment).astype(int) * segment.label for segment in found.segments)
    np.testing.assert_array_equal(covered, mask.voxels)


def test_lesions_of_an_earlier_time_point_keep_their_identifier(mask: Volume, report: LesionReport) -> None:
    found, again = (find_findings(mask, report, Uids(name), tracked={2: "2.25.7"}) for name in ("first", "second"))
    assert found.lesion_uids[2] == again.lesion_uids[2] == "2.25.7"
    assert found.lesion_uids[1] != again.lesion_uids[1]
    assert [s.tracking_uid for s in found.segments[3:]] == [s.tracking_uid for s in again.segments[3:]]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("said", [0.5, 0.0, float("nan")])
def test_volumes_that_the_mask_does_not_have_are_refused(
    mask: Volume, report: LesionReport, region: Region, said: float
) -> None:
    total = replace(report, volume_ml={**report.volume_ml, region: said})
    with pytest.raises(ResultsDisagree, match=f"all lesions: the report says .* mL of {region}, the mask has"):
        find_findings(mask, total, UIDS)
    first = replace(report.lesions[0], volume_ml={**report.lesions[0].volume_ml, region: said})
    with pytest.raises(ResultsDisagree, match=f"lesion 1: the report says .* mL of {region}, the mask has"):
        find_findings(mask, replace(report, lesions=(first, report.lesions[1])), UIDS)


def test_a_mask_that_does_not_lie_on_its_series_is_refused(mask: Volume, report: LesionReport) -> None:
    source = SourceSeries(shape=(12, 10, 8), ras_from_voxel=AFFINE, headers=(), frames=None)
    findings = find_findings(mask, report, UIDS)
    made_at = datetime(2026, 1, 2, tzinfo=UTC)
    ResultContext(source=source, findings=findings, uids=UIDS, made_at=made_at)
    moved = AFFINE.copy()
    moved[2, 3] = 2.0
    for other in (replace(source, ras_from_voxel=moved), replace(source, shape=(12, 10, 9))):
        with pytest.raises(ResultsDisagree, match="does not lie on the voxels of the series"):
            ResultContext(source=other, findings=findings, uids=UIDS, made_at=made_at)


def test_the_digest_of_a_mask_is_that_of_its_labels_and_place(mask: Volume) -> None:
    signed = AFFINE.copy()
    signed[0, 1], signed[1, 2] = -0.0, -1e-7
    assert mask_digest(Volume(mask.voxels, signed)) == mask_digest(mask)
    moved = AFFINE.copy()
    moved[0, 3] = 0.01
    assert mask_digest(Volume(mask.voxels, moved)) != mask_digest(mask)
    assert mask_digest(mask.with_voxels(mask.voxels[::-1])) != mask_digest(mask)
