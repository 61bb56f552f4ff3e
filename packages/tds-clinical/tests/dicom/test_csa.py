import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_clinical.dicom._csa import read_csa
from tds_clinical.testing.mosaic_series import csa_header

ENTRIES = {"NumberOfImagesInMosaic": ["20"], "SliceNormalVector": ["0.1", "-0.2", "0.97"], "Empty": []}

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


def test_values_are_read_by_name() -> None:
    assert read_csa(csa_header(ENTRIES)) == {name: tuple(said) for name, said in ENTRIES.items()}


@given(entries=st.dictionaries(names, st.lists(values, max_size=4), min_size=1, max_size=6))
def test_what_was_written_is_read(entries: dict[str, list[str]]) -> None:
    assert read_csa(csa_header(entries)) == {name: tuple(said) for name, said in entries.items()}


@given(cut=st.integers(0, 400))
def test_a_header_that_breaks_off_is_an_error(cut: int) -> None:
    content = csa_header(ENTRIES)
    with pytest.raises(ValueError, match="CSA header"):
        read_csa(content[: min(cut, len(content) - 4)])


@given(place=st.integers(0, 600), byte=st.integers(0, 255))
def test_a_changed_byte_is_harmless(place: int, byte: int) -> None:
    content = bytearray(csa_header(ENTRIES))
    content[min(place, len(content) - 1)] = byte
    with contextlib.suppress(ValueError):
        assert read_csa(bytes(content))


@given(content=st.binary(max_size=300))
def test_garbage_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="CSA header"):
        read_csa(b"SV10\4\3\2\1" + content[:0] + b"\xff" * 8 + content)


@pytest.mark.parametrize("count", [-1, 5000])
def test_an_absurd_number_of_values_is_an_error(count: int) -> None:
    content = bytearray(csa_header({"A": []}))
    content[16 + 64 + 4 + 4 + 4 : 16 + 64 + 4 + 4 + 8] = count.to_bytes(4, "little", signed=True)
    with pytest.raises(ValueError, match=f"counts {count} values"):
        read_csa(bytes(content))
