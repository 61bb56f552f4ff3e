from pathlib import Path

import numpy as np
import pytest

from tds_clinical.dicom import read_series_headers, shows_phantom
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data import Volume


@pytest.mark.parametrize(("said", "is_phantom"), [("YES", True), ("NO", False), (None, False), ("BOTH", False)])
def test_a_series_is_a_phantom_where_its_images_say_so(tmp_path: Path, said: str | None, *, is_phantom: bool) -> None:
    volume = Volume(np.zeros((4, 4, 3), np.uint16), np.eye(4))
    write_classic_series(volume, tmp_path, ClassicSeriesOptions(tags={"QualityControlImage": said}))
    assert shows_phantom(read_series_headers(tmp_path)) is is_phantom


def test_one_series_that_is_a_phantom_makes_the_study_one(tmp_path: Path) -> None:
    volume = Volume(np.zeros((4, 4, 3), np.uint16), np.eye(4))
    for number, said in ((1, "NO"), (2, "YES")):
        options = ClassicSeriesOptions(series_number=number, tags={"QualityControlImage": said})
        write_classic_series(volume, tmp_path / str(number), options)
    assert shows_phantom(read_series_headers(tmp_path))
