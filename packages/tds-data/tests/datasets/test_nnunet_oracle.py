"""nnU-Net's own functions judge the data sets that are written for it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("nnunetv2")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("builder", ["decathlon", "bids"])
def test_nnunet_accepts_what_is_written_for_it(
    builder: str, make: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnunetv2.experiment_planning.verify_dataset_integrity import (  # noqa: PLC0415  # heavy
        check_cases,
        verify_labels,
    )
    from nnunetv2.imageio.nibabel_reader_writer import NibabelIO  # noqa: PLC0415  # as above
    from nnunetv2.utilities.label_handling.label_handling import LabelManager  # noqa: PLC0415  # as above
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets  # noqa: PLC0415  # as above

    from tds_data.datasets import convert_dataset, index_dataset  # noqa: PLC0415  # as above

    convert_dataset(index_dataset(getattr(make, builder)(tmp_path / "start")), tmp_path / "Dataset001_X", "nnunet")
    document = json.loads((tmp_path / "Dataset001_X" / "dataset.json").read_text(encoding="utf-8"))
    manager = LabelManager(document["labels"], regions_class_order=document.get("regions_class_order"))
    assert manager.all_labels == [0, 1, 2, 3]
    cases = get_filenames_of_train_images_and_targets(str(tmp_path / "Dataset001_X"), document)
    assert len(cases) == document["numTraining"] > 0
    for case in cases.values():
        assert verify_labels(case["label"], NibabelIO, manager.all_labels)
        assert check_cases(case["images"], case["label"], len(document["channel_names"]), NibabelIO)
    assert "Warning" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_nnunet_accepts_the_regions_that_are_written_for_it(make: SimpleNamespace, tmp_path: Path) -> None:
    import numpy as np  # noqa: PLC0415  # heavy
    import torch  # noqa: PLC0415  # as above
    from nnunetv2.utilities.label_handling.label_handling import LabelManager  # noqa: PLC0415  # as above

    from tds_data.datasets import convert_dataset, index_dataset  # noqa: PLC0415  # as above

    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
    source = index_dataset(make.nnunet(tmp_path / "start", labels=labels, regions_class_order=[1, 2, 3]))
    convert_dataset(source, tmp_path / "out", "nnunet", scheme="brats-2023")
    document = json.loads((tmp_path / "out" / "dataset.json").read_text(encoding="utf-8"))
    manager = LabelManager(document["labels"], regions_class_order=document["regions_class_order"])
    assert manager.has_regions
    regions = torch.from_numpy(np.array([[[[1.0]]], [[[1.0]]], [[[0.0]]]]))
    # Whole and core without enhancement is the necrotic core, which BraTS 2023 numbers 1; whole alone is oedema, 2.
    assert int(manager.convert_probabilities_to_segmentation(regions).item()) == 1
    regions[1] = 0
    assert int(manager.convert_probabilities_to_segmentation(regions).item()) == 2


@pytest.mark.filterwarnings("ignore")
def test_nnunet_accepts_regions_beside_a_label_that_it_ignores(make: SimpleNamespace, tmp_path: Path) -> None:
    from nnunetv2.utilities.label_handling.label_handling import LabelManager  # noqa: PLC0415  # heavy

    from tds_data.datasets import convert_dataset, index_dataset  # noqa: PLC0415  # as above

    labels = {"background": 0, "whole tumor": [1, 2], "enhancing tumor": 2, "ignore": 3}
    source = index_dataset(make.nnunet(tmp_path / "start", labels=labels, regions_class_order=[1, 2]))
    convert_dataset(source, tmp_path / "out", "nnunet")
    document = json.loads((tmp_path / "out" / "dataset.json").read_text(encoding="utf-8"))
    manager = LabelManager(document["labels"], regions_class_order=document["regions_class_order"])
    assert (manager.ignore_label, document["regions_class_order"]) == (3, [1, 2])
