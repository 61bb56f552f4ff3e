from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tds_clinical.errors import ReportError
from tds_clinical.reports.paint import PaintStyle
from tds_clinical.reports.scene import best_background, chief_sequences, make_scene, stops
from tds_data.case import Case
from tds_data.report import Lesion, LesionReport
from tds_data.vocabulary import Modality, Region
from tds_data.volume import Volume


def test_a_mask_on_another_grid_is_refused(case: Case, report: LesionReport) -> None:
    with pytest.raises(ReportError, match="not on the same grid"):
        make_scene(case, Volume(np.zeros((4, 4, 4), np.uint8), np.eye(4)), report)


@pytest.mark.parametrize("label", [4, -1])
def test_labels_outside_the_scheme_are_refused(case: Case, mask: Volume, report: LesionReport, label: int) -> None:
    labels = mask.voxels.astype(np.int16)
    labels[0, 0, 0] = label
    with pytest.raises(ReportError, match="labels 0 to 3"):
        make_scene(case, mask.with_voxels(labels), report)


@pytest.mark.parametrize(
    ("present", "background"),
    [
        (("t1", "t1ce", "t2", "flair"), "flair"),
        (("t1", "t1ce", "t2"), "t2"),
        (("t1", "t1ce"), "t1ce"),
        (("t1",), "t1"),
    ],
)
def test_the_background_is_the_sequence_that_shows_the_whole_tumour_best(
    only: Callable[..., Case], present: tuple[str, ...], background: str
) -> None:
    assert best_background(only(*map(Modality, present)).images) == background


def test_a_core_is_also_shown_on_t1ce(case: Case, lesion: Lesion) -> None:
    oedema = replace(lesion, volume_ml={Region.WT: 3.0, Region.TC: 0.0, Region.ET: 0.0})
    assert chief_sequences(case.images, lesion) == (Modality.FLAIR, Modality.T1CE)
    assert chief_sequences(case.images, oedema) == (Modality.FLAIR,)
    assert chief_sequences(case.images, None) == (Modality.FLAIR,)
    assert chief_sequences((Modality.T1, Modality.T1CE), lesion) == (Modality.T1CE,)
    assert chief_sequences((Modality.FLAIR,), lesion) == (Modality.FLAIR,)


def test_planes_cross_at_the_centroid_and_meet_the_lesion(
    case: Case, mask: Volume, report: LesionReport, lesion: Lesion
) -> None:
    (stop,) = stops(make_scene(case, mask, report), report.lesions, size_px=64)
    place = case.grid.ras_from_voxel @ (*stop.views[0].index, 1.0)
    assert np.abs(place[:3] - lesion.centroid_mm).max() <= 2.0
    assert stop.is_labelled
    assert all(paint is not None for paint in stop.paints[PaintStyle.BOTH])


def test_without_a_lesion_the_planes_cross_in_the_middle_of_the_head(
    case: Case, empty_mask: Volume, nothing_found: LesionReport
) -> None:
    (stop,) = stops(make_scene(case, empty_mask, nothing_found), (), size_px=64)
    assert np.abs(np.array(stop.views[0].index) - (19.5, 23.5, 14.5)).max() <= 1.0
    assert not stop.is_labelled
    assert stop.paints == {PaintStyle.BOTH: (None, None, None)}
