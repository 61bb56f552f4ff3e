import numpy as np
import pytest

from tds_core.regions import paint_regions
from tds_data import REGIONS
from tds_data.preprocess import region_labels
from tds_data.task import BRAIN_TUMOUR, HEAD_NECK_TUMOUR, LIVER_TUMOUR, Task


def test_regions_of_brain_tumours_become_labels_as_in_preprocessing() -> None:
    rng = np.random.default_rng(0)
    found = {region: rng.random((6, 7, 8)) < 0.5 for region in REGIONS}
    np.testing.assert_array_equal(paint_regions(found, BRAIN_TUMOUR), region_labels(found))


@pytest.mark.parametrize("task", [BRAIN_TUMOUR, LIVER_TUMOUR, HEAD_NECK_TUMOUR], ids=lambda task: task.name)
def test_labels_become_regions_and_labels_again(task: Task) -> None:
    labels = np.random.default_rng(1).integers(0, len(task.labels) + 1, (5, 6, 7)).astype(np.uint8)
    found = {region: np.isin(labels, members) for region, members in task.regions.items()}
    np.testing.assert_array_equal(paint_regions(found, task), labels)


def test_order_of_the_regions_does_not_matter() -> None:
    turned = Task(
        name="turned",
        channels=("ct",),
        labels=("organ", "lesion"),
        regions={"lesion": (2,), "all": (1, 2)},
    )
    found = {"lesion": np.array([[[True, True, False]]]), "all": np.array([[[True, False, True]]])}
    assert paint_regions(found, turned).tolist() == [[[2, 0, 1]]]


def test_region_that_is_nothing_but_its_parts_paints_nothing_itself() -> None:
    task = Task(name="x", channels=("ct",), labels=("a", "b"), regions={"both": (1, 2), "a": (1,), "b": (2,)})
    found = {name: np.array([[[True, False]]]) for name in task.regions} | {"b": np.zeros((1, 1, 2), bool)}
    assert paint_regions(found, task).tolist() == [[[1, 0]]]
