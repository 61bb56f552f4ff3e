import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tds_cloud import InvalidKey, join_key, relative_key, validate_key, validate_prefix

SEGMENTS = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="/\\"), min_size=1)
    .map(lambda text: unicodedata.normalize("NFC", text)[:20])
    .filter(lambda text: unicodedata.is_normalized("NFC", text) and not text.endswith((".", " ")) and text[1:2] != ":")
)
KEYS = (
    st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join).filter(lambda key: unicodedata.is_normalized("NFC", key))
)
ANY_TEXT = st.text(st.characters() | st.sampled_from("./\\:aC \0"), max_size=60)


def refusal(text: str) -> InvalidKey | None:
    try:
        validate_key(text)
    except InvalidKey as error:
        return error
    return None


@given(KEYS)
def test_well_formed_key_is_returned_unchanged(key: str) -> None:
    assert validate_key(key) is key


@given(ANY_TEXT)
def test_accepted_text_stays_below_any_folder_it_is_joined_to(text: str) -> None:
    assume(refusal(text) is None)
    for kind, root in ((PurePosixPath, "/store"), (PureWindowsPath, r"\\server\store")):
        parts = kind(root, *text.split("/")).parts
        assert ".." not in parts
        assert len(parts) == len(kind(root).parts) + len(text.split("/"))


@given(ANY_TEXT)
def test_refusal_is_one_printable_line_with_a_reason(text: str) -> None:
    error = refusal(text)
    assume(error is not None)
    assert str(error).isprintable()
    assert error.key == text
    assert str(error).endswith(error.reason)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "slash"),
        ("a/", "slash"),
        ("a//b", "two slashes"),
        ("..", "ends in a dot"),
        ("a/../b", "ends in a dot"),
        ("a/./b", "ends in a dot"),
        ("a/b.", "ends in a dot"),
        ("a/.. /b", "or a space"),
        ("C:/b", "drive"),
        ("a/c:b", "drive"),
        ("a\\b", r"U\+005C"),
        ("a\nb", r"U\+000A"),
        ("a\x00", r"U\+0000"),
        ("a\x7f", r"U\+007F"),
        ("a\u2028b", r"U\+2028"),
        ("a\ud800", r"U\+D800"),
        ("a\uffff", r"U\+FFFF"),
        ("cafe\u0301", "composed"),
        ("/".join(["é" * 100] * 6), "1205 bytes"),
        ("x" * 256, "256 bytes"),
        ("/".join("a" * 255), "255 segments"),
    ],
)
def test_broken_rule_is_named(key: str, reason: str) -> None:
    with pytest.raises(InvalidKey, match=reason):
        validate_key(key)


@pytest.mark.parametrize(
    "key", ["x" * 255, "/".join("a" * 254), "/".join(["x" * 255] * 4), ".hidden", "a b/c%2e", "café"]
)
def test_key_at_the_limit_is_accepted(key: str) -> None:
    assert validate_key(key) == key


def test_longest_key_is_1024_bytes() -> None:
    key = "/".join(["x" * 204] * 5)
    assert len(validate_key(key)) == 1024
    with pytest.raises(InvalidKey, match="1025 bytes"):
        validate_key(f"{key}x")


def test_empty_prefix_is_valid_and_a_prefix_with_a_slash_at_its_end_is_not() -> None:
    assert validate_prefix("") == ""
    assert validate_prefix("a/b") == "a/b"
    with pytest.raises(InvalidKey, match="slash"):
        validate_prefix("a/")


@given(st.just("") | KEYS, KEYS)
def test_relative_key_undoes_join_key(prefix: str, key: str) -> None:
    joined = join_key(prefix, key)
    assert joined.endswith(key)
    assert relative_key(prefix, joined) == key


def test_join_refuses_two_valid_parts_that_are_too_long_together() -> None:
    half = "/".join(["x" * 200] * 3)
    with pytest.raises(InvalidKey, match="1205 bytes"):
        join_key(half, half)


def test_prefix_counts_by_whole_segments() -> None:
    for key in ("a/bc", "a/b", "x/y"):
        with pytest.raises(InvalidKey, match="does not lie below"):
            relative_key("a/b", key)


def test_join_refuses_an_invalid_part() -> None:
    for prefix, key in (("../a", "b"), ("a", "../b"), ("a/", "b")):
        with pytest.raises(InvalidKey):
            join_key(prefix, key)
