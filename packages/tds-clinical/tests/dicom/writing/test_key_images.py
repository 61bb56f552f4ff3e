from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing.key_images import KeyPicture, build_key_images
from tds_clinical.errors import ReportError
from tds_clinical.findings import ResultContext
from tds_data.report import RESEARCH_USE_NOTICE


def picture(seed: int = 0, shape: tuple[int, int] = (5, 7), title: str = "Lesion 1") -> KeyPicture:
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    return KeyPicture(pixels=pixels, title=title)


def read_back(dataset: Dataset) -> Dataset:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


@pytest.mark.parametrize("shape", [(5, 7), (4, 8), (1, 1)])
def test_pixels_come_back_as_they_were(context: ResultContext, shape: tuple[int, int]) -> None:
    drawn = picture(shape=shape)
    (image,) = build_key_images(context, [drawn])
    np.testing.assert_array_equal(read_back(image).pixel_array, drawn.pixels)
    assert len(image.PixelData) % 2 == 0


def test_views_of_other_arrays_come_back_as_they_were(context: ResultContext) -> None:
    turned = KeyPicture(pixels=picture().pixels[::-1, ::2], title="turned")
    (image,) = build_key_images(context, [turned])
    np.testing.assert_array_equal(read_back(image).pixel_array, turned.pixels)


def test_they_are_one_series_in_order(context: ResultContext) -> None:
    images = build_key_images(context, [picture(1), picture(2)])
    assert len({image.SeriesInstanceUID for image in images}) == 1
    assert [image.InstanceNumber for image in images] == [1, 2]
    assert len({image.SOPInstanceUID for image in images}) == 2


def test_equal_pictures_are_different_objects(context: ResultContext) -> None:
    first, second = build_key_images(context, [picture(), picture()])
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_another_picture_has_another_uid_and_the_same_one_the_same(context: ResultContext) -> None:
    uids = [build_key_images(context, [picture(seed)])[0].SOPInstanceUID for seed in (1, 1, 2)]
    assert uids[0] == uids[1] != uids[2]


def test_they_were_derived_from_all_images_of_the_source(context: ResultContext) -> None:
    (image,) = build_key_images(context, [picture()])
    assert [item.ReferencedSOPInstanceUID for item in image.SourceImageSequence] == [
        header.SOPInstanceUID for header in context.source.headers
    ]
    assert image.ImageType == ["DERIVED", "SECONDARY"]


def test_they_say_what_they_show_and_that_it_is_for_research_only(context: ResultContext) -> None:
    (image,) = build_key_images(context, [picture(title="All lesions")])
    assert image.DerivationDescription == f"All lesions. {RESEARCH_USE_NOTICE}"
    assert image.BurnedInAnnotation == "NO"


def test_a_long_title_does_not_push_the_notice_out(context: ResultContext) -> None:
    (image,) = build_key_images(context, [picture(title="x" * 2000)])
    assert image.DerivationDescription.endswith(RESEARCH_USE_NOTICE)
    assert len(image.DerivationDescription) <= 1024


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((1, 70000, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(ReportError, match="a picture is uint8 of shape"):
        KeyPicture(pixels=pixels, title="no picture")


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_any_picture_comes_back_as_it_was(context: ResultContext, pixels: NDArray[np.uint8]) -> None:
    (image,) = build_key_images(context, [KeyPicture(pixels=pixels, title="any")])
    np.testing.assert_array_equal(read_back(image).pixel_array, pixels)
