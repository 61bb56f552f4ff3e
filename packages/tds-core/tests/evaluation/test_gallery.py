import io

import numpy as np
import pytest

from tds_core.evaluation.summary import ScoredCase
from tds_data import Volume
from tds_data.task import BRAIN_TUMOUR

pytest.importorskip("PIL")

from PIL import Image

from tds_core.evaluation.gallery import Gallery, JudgedCase, draw_case

GRID = np.diag([1.0, 1.0, 3.0, 1.0])


def scored(case: str, dice: float, *, phantom: bool = False) -> ScoredCase:
    return ScoredCase(case=case, phantom=phantom, values={"WT": {"dice": dice}, "ET": {"dice": dice}})


def judged(*, turned: bool = False) -> JudgedCase:
    truth, found = np.zeros((40, 30, 9), np.uint8), np.zeros((40, 30, 9), np.uint8)
    truth[30:36, 20:26, 2:8] = 3
    found[30:36, 20:26, 2:6] = 3
    found[4:8, 4:8, 5] = 1
    image = np.random.default_rng(0).normal(100, 20, truth.shape).astype(np.float32)
    volumes = [Volume(voxels, GRID) for voxels in (found, truth, image)]
    if turned:
        flip = np.diag([-1.0, 1.0, 1.0, 1.0])
        flip[0, 3] = 39.0
        volumes = [Volume(volume.voxels[::-1], volume.ras_from_voxel @ flip) for volume in volumes]
    return JudgedCase(found=volumes[0], truth=volumes[1], image=volumes[2])


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_slice_with_most_differences_is_shown() -> None:
    entry = draw_case(scored("a", 0.25), judged(), BRAIN_TUMOUR)
    assert "Axial slice 7 of 9" in entry.caption  # the first of those with the expert's alone
    assert "Dice WT 0.250, ET 0.250" in entry.caption
    assert min(pixels(entry.png).shape[:2]) > 300


def test_picture_is_the_same_whatever_the_orientation_of_the_file() -> None:
    again = draw_case(scored("a", 0.25), judged(turned=True), BRAIN_TUMOUR)
    assert again == draw_case(scored("a", 0.25), judged(), BRAIN_TUMOUR)


def test_case_without_an_image_or_a_difference_is_drawn() -> None:
    both = judged().truth
    entry = draw_case(scored("a", 1.0), JudgedCase(found=both, truth=both), BRAIN_TUMOUR)
    assert "slice 3 of 9" in entry.caption
    empty = Volume(np.zeros((5, 5, 5), np.uint8), np.eye(4))
    assert "slice 3 of 5" in draw_case(scored("b", 1.0), JudgedCase(found=empty, truth=empty), BRAIN_TUMOUR).caption


def test_phantom_says_what_it_is_in_the_picture() -> None:
    patient, phantom = (draw_case(scored("a", 0.5, phantom=p), judged(), BRAIN_TUMOUR) for p in (False, True))
    assert (pixels(patient.png)[:20] != pixels(phantom.png)[:20]).any()
    assert (pixels(patient.png)[30:] == pixels(phantom.png)[30:]).all()


def test_gallery_keeps_the_worst_of_each_kind() -> None:
    gallery = Gallery(task=BRAIN_TUMOUR, most=2)
    for name, dice in (("a", 0.9), ("b", 0.1), ("c", 0.5), ("d", 0.05), ("e", 0.7)):
        gallery.consider(scored(name, dice), judged())
    gallery.consider(scored("p", 0.99, phantom=True), judged())
    assert [(entry.case, entry.phantom) for entry in gallery.entries()] == [("d", False), ("b", False), ("p", True)]
    assert Gallery(task=BRAIN_TUMOUR).entries() == ()
