from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tds_core import BundleIncompatible
from tds_core.bundle import Member, NetworkUse
from tds_core.description import describe_use, orientation, read_postprocess, read_preprocess, read_use
from tds_core.windows import WindowPlan
from tds_data.geometry import Interpolation
from tds_data.task import LIVER_TUMOUR

USE = NetworkUse(
    task=LIVER_TUMOUR,
    heads="classes",
    windows=WindowPlan(patch=(96, 96, 64), overlap=0.25, fixed=True, multiple=(96, 96, 64), gaussian=False),
    reversed_axes=(0, 1),
    members=(Member(share=0.5), Member(graph="model-2.onnx", share=0.5)),
    bytes_per_voxel=500,
    weight_bytes=12,
)


def written(use: NetworkUse = USE) -> dict[str, Any]:
    return {
        "format": 2,
        **describe_use(use),
        "preprocessing": {"spacing_mm": [1.0, 1.0, 3.0], "clip": None, "orientation": orientation(use)},
        "postprocessing": {"thresholds": {"liver": 0.5, "tumour": 0.25}, "min_lesion_ml": 0, "mirror": []},
    }


def test_what_is_written_is_read() -> None:
    assert read_use(written()) == USE
    whole = NetworkUse(windows=WindowPlan(whole_voxels=5))
    assert read_use(written(whole)) == whole
    assert (orientation(USE), orientation(whole)) == ("LPS", "RAS")


def test_preprocessing_of_another_task_has_its_own_voxels_and_no_sequences() -> None:
    config = read_preprocess(written(), USE)
    assert (config.voxel_mm, config.clip, config.modalities) == ((1.0, 1.0, 3.0), np.inf, ())
    assert config.interpolation is Interpolation.LINEAR
    assert read_postprocess(written(), LIVER_TUMOUR).thresholds == {"liver": 0.5, "tumour": 0.25}


def drop(*keys: str) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        for key in keys[:-1]:
            document = document[key]
        del document[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(heads="both"), "has 'both' heads; this version knows regions and classes"),
        (lambda d: d["preprocessing"].update(orientation="SAR"), "in the order 'SAR'"),
        (lambda d: d["preprocessing"].update(orientation="RA"), "in the order 'RA'"),
        (lambda d: d["members"][0].update(share=0.9), "add up to 1"),
        (lambda d: d["members"][0].update(share=-0.5), "each is above 0"),
    ],
)
def test_description_that_this_version_does_not_know_is_refused(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    document = written()
    change(document)
    with pytest.raises(BundleIncompatible, match=message):
        read_use(document)


@pytest.mark.parametrize(
    "change",
    [
        drop("inference"),
        drop("inference", "patch"),
        drop("inference", "blend"),
        drop("task", "labels"),
        lambda d: d["inference"].update(patch=[1, 2]),
        lambda d: d["inference"].update(patch=[0, 2, 3]),
        lambda d: d["inference"].update(blend="other"),
        lambda d: d["members"].append(3),
    ],
)
def test_description_that_lacks_something_is_a_builtin_error(change: Callable[[dict[str, Any]], object]) -> None:
    document = written()
    change(document)
    with pytest.raises((KeyError, ValueError, TypeError)):
        read_use(document)


def test_threshold_of_every_region_is_needed() -> None:
    document = written()
    del document["postprocessing"]["thresholds"]["tumour"]
    with pytest.raises(BundleIncompatible, match="needs a threshold between 0 and 1 for tumour"):
        read_postprocess(document, LIVER_TUMOUR)
