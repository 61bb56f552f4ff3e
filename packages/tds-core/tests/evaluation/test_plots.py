import io

import numpy as np
import pytest

from tds_core.evaluation.summary import ScoredCase

pytest.importorskip("matplotlib")

from PIL import Image

from tds_core.evaluation.plots import bland_altman_plots, box_plots


def scored(number: int, *, phantom: bool = False) -> ScoredCase:
    values: dict[str, float | None] = {
        "dice": 0.5 + number / 20,
        "hd95_mm": None if number == 1 else 3.0 + number,
        "volume_ml_found": 10.0 + number,
        "volume_ml_truth": 11.0,
    }
    return ScoredCase(case=f"c{number}", phantom=phantom, values={"WT": values, "TC": values, "ET": values})


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_plots_show_as_many_cases_as_there_are(count: int) -> None:
    cases = [scored(n) for n in range(count)]
    for png in (box_plots(cases, ["dice", "hd95_mm"]), bland_altman_plots(cases)):
        picture = pixels(png)
        assert min(picture.shape[:2]) > 300
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_same_scores_give_the_same_picture() -> None:
    cases = [scored(n) for n in range(4)]
    assert box_plots(cases, ["dice"]) == box_plots(cases, ["dice"])


def test_phantoms_are_named_in_their_plots() -> None:
    patients = pixels(box_plots([scored(n) for n in range(4)], ["dice"]))
    phantoms = pixels(box_plots([scored(n, phantom=True) for n in range(4)], ["dice"]))
    top = slice(0, 40)
    assert patients.shape == phantoms.shape
    assert (patients[top] != phantoms[top]).any()
    assert (patients[60:-40] == phantoms[60:-40]).all()
