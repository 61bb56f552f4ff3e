import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tds_clinical.errors import ClinicalDependency, FollowUpError
from tds_clinical.followup import ChangeKind, FollowUp, TimePoint, compare
from tds_clinical.followup.alignment import align
from tds_clinical.followup.options import Alignment
from tds_clinical.testing.mask_report import report_mask
from tds_clinical.uids import Uids
from tds_data.discover import discover
from tds_data.errors import MissingDependency
from tds_data.phantom import PhantomConfig, make_phantom
from tds_data.raw.resampling import resample_labels, resample_to
from tds_data.study_files import load_case
from tds_data.vocabulary import Modality, Region
from tds_data.volume import Volume

from .points import FIRST, SECOND, Ball, paint, point


@pytest.fixture(scope="module")
def head() -> Volume:
    pytest.importorskip("nilearn")
    pytest.importorskip("SimpleITK")
    return make_phantom(PhantomConfig(seed=7, spacing_mm=3.0)).images[Modality.T1CE]


@pytest.fixture(scope="module")
def move() -> NDArray[np.float64]:
    """How the patient lay at the earlier time point, against the later one."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [5, -4, 8], degrees=True).as_matrix()
    matrix[:3, 3] = (6.0, -5.0, 4.0)
    return matrix


@pytest.fixture(scope="module")
def earlier_grid(head: Volume) -> Volume:
    """Other voxels than the later time point's, in another order and from another corner."""
    spacing, shape = np.array([2.6, 3.2, 3.4]), (88, 80, 62)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing * [-1, 1, 1])
    affine[:3, 3] = (head.ras_from_voxel @ [*((np.array(head.shape) - 1) / 2), 1.0])[:3]
    affine[:3, 3] -= affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Volume(np.zeros(shape, np.uint8), affine)


@pytest.fixture(scope="module")
def series(head: Volume, move: NDArray[np.float64], earlier_grid: Volume) -> FollowUp:
    centre = (head.ras_from_voxel @ [*((np.array(head.shape) - 1) / 2), 1.0])[:3]

    def ball(x: float, y: float, z: float, radius: float) -> Ball:
        return Ball(at=(centre[0] + x, centre[1] + y, centre[2] + z), radius=radius)

    grows = [ball(-35, 30, 0, 7), ball(-35, 30, 0, 11)]
    vanishes, appears = ball(35, 30, 0, 8), ball(35, -30, 0, 9)
    splits = [ball(-35, -30, 6, 8), ball(-35, -30, -20, 7)]
    merges = [ball(0, 40, 30, 8), ball(0, 14, 30, 7)]
    bridges = [ball(-35, -30, -7, 8), ball(0, 27, 30, 8)]
    before = paint(earlier_grid, [grows[0], vanishes, *splits, bridges[0], *merges], move)
    after = paint(head, [grows[1], appears, *splits, *merges, bridges[1]])
    image = resample_to(head, earlier_grid, move)
    rng = np.random.default_rng(3)
    noisy = image.with_voxels(image.voxels + rng.normal(0, 0.02 * float(image.voxels.max()), image.shape))
    points = [
        TimePoint(label="before", when=FIRST, image=noisy, mask=before, report=report_mask(before)),
        TimePoint(label="after", when=SECOND, image=head, mask=after, report=report_mask(after)),
    ]
    return compare(points, uids=Uids("tests"))


@pytest.mark.slow
def test_lesions_of_a_patient_who_moved_are_told_apart(series: FollowUp) -> None:
    kinds = sorted(str(change.kind) for change in series.changes[0])
    assert kinds == ["gone", "matched", "merged", "new", "split"]
    fates = {change.kind: change for change in series.changes[0]}
    assert len(fates[ChangeKind.SPLIT].after) == 2
    assert len(fates[ChangeKind.MERGED].before) == 2


@pytest.mark.slow
def test_registration_undoes_the_move(series: FollowUp, head: Volume) -> None:
    (gone,) = [change for change in series.changes[0] if change.kind is ChangeKind.GONE]
    centre = (head.ras_from_voxel @ [*((np.array(head.shape) - 1) / 2), 1.0])[:3]
    assert np.linalg.norm(np.array(gone.place_mm) - (centre + np.array([35.0, 30.0, 0.0]))) < 1.5
    summary = series.points[0].alignment
    assert summary is not None
    assert summary.method == "registered"
    assert summary.turn_deg == pytest.approx(10.2, abs=1.0)
    assert summary.spread_mm is not None
    assert summary.spread_mm < 2.0


@pytest.mark.slow
def test_a_new_lesion_of_its_size_is_progression(series: FollowUp) -> None:
    assert [entry.category for entry in series.assessments] == ["PD"] * 3


def test_images_without_content_cannot_be_registered() -> None:
    pytest.importorskip("SimpleITK")
    flat = point([])
    with pytest.raises(FollowUpError, match="time point 1 cannot be registered"):
        align([flat, replace(flat, when=SECOND)], Alignment.REGISTER)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        package = "SimpleITK"
        raise MissingDependency(package, "register")

    monkeypatch.setattr("tds_data.raw.register.register_rigid", missing)
    flat = point([])
    with pytest.raises(ClinicalDependency, match=r"tds-clinical\[followup\]"):
        align([flat, flat], Alignment.REGISTER)


def test_headers_are_trusted_when_asked_to() -> None:
    flat = point([])
    first, second = align([flat, flat], Alignment.HEADERS)
    assert (first.summary.method, second.summary.method) == ("headers", "reference")
    assert np.array_equal(first.latest_from_point, np.eye(4))


@pytest.mark.real_data
@pytest.mark.slow
def test_a_real_patient_who_moved_has_the_same_lesions(move: NDArray[np.float64]) -> None:
    pytest.importorskip("SimpleITK")
    data = os.environ.get("TDS_REAL_DATA")
    folder = Path(data or ".") / "brats" / "BraTS2021_00003"
    if not data or not folder.is_dir():
        pytest.skip("real patients are absent: set TDS_REAL_DATA to their folder")
    case = load_case(discover(folder))
    assert case.reference is not None
    here, mask = case.images[Modality.T1CE], case.reference
    affine = np.diag([1.0, -1.0, 1.2, 1.0])
    affine[:3, 3] = (here.ras_from_voxel @ [*((np.array(here.shape) - 1) / 2), 1.0])[:3]
    affine[:3, 3] -= affine[:3, :3] @ (np.array([219, 229, 149]) / 2)
    grid = Volume(np.zeros((220, 230, 150), np.uint8), affine)
    moved_mask = resample_labels(mask, grid, move)
    points = [
        TimePoint(
            label="before",
            when=FIRST,
            image=resample_to(here, grid, move),
            mask=moved_mask,
            report=report_mask(moved_mask, phantom=False),
        ),
        TimePoint(label="after", when=SECOND, image=here, mask=mask, report=report_mask(mask, phantom=False)),
    ]
    found = compare(points, uids=Uids("tests"))
    large = [change for change in found.changes[0] if max(change.volume_ml[Region.WT]) > 0.05]
    assert {change.kind for change in large} == {ChangeKind.MATCHED}
    assert not any(change.is_certain for change in large)
    summary = found.points[0].alignment
    assert summary is not None
    assert summary.turn_deg == pytest.approx(10.2, abs=0.3)
    assert "PD" not in {entry.category for entry in found.assessments}
