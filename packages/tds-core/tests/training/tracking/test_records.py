import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_core.training.tracking.records import Record, decode_number, encode_number, parse_line, plain

_plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(allow_nan=False, width=32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.floats())
def test_every_number_comes_back(value: float) -> None:
    back = decode_number(encode_number(value))
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(_plain_values, st.integers(0, 10**9), st.integers(0, 2**50))
def test_a_record_comes_back_from_its_line(value: object, step: int, time_ms: int) -> None:
    record = Record(kind="event", time_ms=time_ms, step=step, body={"name": "x", "values": plain(value)})
    line = record.line()
    assert line.count(b"\n") == 1
    assert parse_line(line) == record


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{\n",
        b"[]\n",
        b"null\n",
        b"\x00\x00\x00\n",
        b'{"kind":"metrics","ms":1}\n',
        b'{"kind":"other","ms":1,"step":1}\n',
        b'{"kind":"metrics","ms":"1","step":1}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_line_is_no_record(line: bytes) -> None:
    assert parse_line(line) is None


def test_what_json_has_no_type_for_becomes_text() -> None:
    assert plain({1: (math.inf, {3}), "path": object}) == {"1": ["Infinity", [3]], "path": "<class 'object'>"}
