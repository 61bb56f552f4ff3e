"""What is read quickly is what is read thoroughly."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tds_clinical.dicom import _headers, read_series_headers
from tds_clinical.dicom._headers import FoundImage, read_image_header
from tds_clinical.dicom._quick_headers import read_quickly
from tds_clinical.dicom._quiet import quiet_pydicom
from tds_clinical.dicom._tags import HEADER_TAGS, numbers, texts
from tds_clinical.errors import ClinicalError
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.volume import Volume


@pytest.fixture
def path(volume: Volume, tmp_path: Path) -> Path:
    return write_classic_series(volume, tmp_path, ClassicSeriesOptions())[0]


def thoroughly(path: Path, monkeypatch: pytest.MonkeyPatch) -> FoundImage:
    monkeypatch.setattr(_headers, "read_quickly", lambda _: None)
    found = read_image_header(path)
    monkeypatch.undo()
    assert isinstance(found, FoundImage)
    return found


def assert_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with path.open("rb") as stream:
        quick = read_quickly(stream)
    assert quick is not None
    slow = thoroughly(path, monkeypatch)
    for keyword in HEADER_TAGS:
        assert texts(quick[0], keyword) == texts(slow.header, keyword), keyword
        assert quick[0].get(keyword) == slow.header.get(keyword), keyword
    assert quick[0].file_meta.TransferSyntaxUID == slow.header.file_meta.TransferSyntaxUID
    quick_place, slow_place = quick[1], slow.pixels
    assert (quick_place is None) == (slow_place is None)
    if quick_place is not None and slow_place is not None:
        assert (quick_place.offset, quick_place.length) == (slow_place.offset, slow_place.length)


def rewrite(path: Path, dataset: Dataset, syntax: UID) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)


def nested(*, undefined: bool) -> Dataset:
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "1"
    outer.ConceptCodeSequence = [inner, inner]
    outer["ConceptCodeSequence"].is_undefined_length = undefined
    outer.ReferencedSOPInstanceUID = "1.2.3"
    for item in (*outer.ConceptCodeSequence, outer):
        item.is_undefined_length_sequence_item = undefined
    return outer


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_and_private_elements_are_stepped_over(
    path: Path, monkeypatch: pytest.MonkeyPatch, syntax: UID, *, undefined: bool
) -> None:
    dataset = pydicom.dcmread(path)
    dataset.ReferencedImageSequence = [nested(undefined=undefined), nested(undefined=undefined)]
    dataset["ReferencedImageSequence"].is_undefined_length = undefined
    dataset.private_block(0x0029, "MAKER", create=True).add_new(0x10, "OB", bytes(200_000))
    dataset.private_block(0x0029, "MAKER").add_new(0x11, "UN", bytes(10))
    rewrite(path, dataset, syntax)
    assert_same(path, monkeypatch)


@pytest.mark.parametrize(
    ("character_set", "description"),
    [("ISO_IR 100", "Schädel"), ("ISO_IR 192", "脳 Ödem"), (["", "ISO 2022 IR 87"], "Head 脳"), ("GB18030", "头颅")],
)
def test_text_in_any_character_set_is_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, character_set: str | list[str], description: str
) -> None:
    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = character_set
    dataset.SeriesDescription = description
    dataset.save_as(path)
    assert_same(path, monkeypatch)
    (series,) = read_series_headers(path)
    assert texts(series.header, "SeriesDescription") == (description,)


def test_compressed_files_have_no_place_of_pixels(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path)
    assert_same(path, monkeypatch)
    (series,) = read_series_headers(path)
    assert series.slices[0].pixels is None


@pytest.mark.parametrize("keyword", ["ContrastBolusAgentSequence", "SeriesDescription"])
def test_wanted_elements_that_are_sequences_or_long_take_a_closer_look(path: Path, keyword: str) -> None:
    dataset = pydicom.dcmread(path)
    if keyword == "SeriesDescription":
        dataset[keyword] = pydicom.DataElement(keyword, "LT", "x" * 5000)
    else:
        dataset.ContrastBolusAgentSequence = [nested(undefined=False)]
    dataset.save_as(path)
    with path.open("rb") as stream:
        assert read_quickly(stream) is None
    assert len(read_series_headers(path)) == 1


def test_sequences_too_deep_take_a_closer_look(path: Path) -> None:
    inner = Dataset()
    inner.CodeValue = "1"
    for _ in range(20):
        outer = Dataset()
        outer.ReferencedImageSequence = [inner]
        outer["ReferencedImageSequence"].is_undefined_length = True
        inner.is_undefined_length_sequence_item = True
        inner = outer
    dataset = pydicom.dcmread(path)
    dataset.ReferencedImageSequence = outer.ReferencedImageSequence
    dataset["ReferencedImageSequence"].is_undefined_length = True
    dataset.save_as(path)
    with path.open("rb") as stream:
        assert read_quickly(stream) is None


def test_what_is_no_dicom_file_is_not_read_quickly() -> None:
    assert read_quickly(io.BytesIO(b"plain text")) is None
    assert read_quickly(io.BytesIO(bytes(128) + b"DICM")) is None


@settings(max_examples=150, deadline=None)
@given(place=st.integers(132, 1700), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_read_or_left_to_the_thorough_way(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, *, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    volume = Volume(np.arange(8, dtype=np.uint16).reshape(2, 2, 2), np.eye(4))
    path = write_classic_series(volume, folder, ClassicSeriesOptions())[0]
    content = bytearray(path.read_bytes())
    place = min(place, len(content) - 1)
    content[place] = byte
    path.write_bytes(content[:place] if cut else content)
    with quiet_pydicom():
        with path.open("rb") as stream:
            quick = read_quickly(stream)
        assert quick is None or quick[0].file_meta.TransferSyntaxUID
        with contextlib.suppress(ClinicalError):
            read_image_header(path)


def test_numbers_stored_in_binary_are_read_undecoded(path: Path) -> None:
    with path.open("rb") as stream:
        quick = read_quickly(stream)
    assert quick is not None
    assert numbers(quick[0], "Rows", 1) == (5.0,)
    assert numbers(quick[0], "Rows", 2) is None
    assert quick[0].get_item("Rows").is_raw
