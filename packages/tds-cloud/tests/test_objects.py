import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_cloud import (
    ByteRange,
    InvalidKey,
    InvalidObject,
    ListPage,
    ObjectInfo,
    PutCondition,
    PutOptions,
    PutResult,
    validate_tags,
)

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SHA256 = "0123456789abcdef" * 4


def info(key: str = "a/b", **changes: object) -> ObjectInfo:
    values = {"size_bytes": 3, "etag": "1", "modified": NOW, "sha256": SHA256} | changes
    return ObjectInfo(key=key, **values)  # type: ignore[arg-type]  # wrong values are what some tests want


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"size_bytes": -1}, "-1 bytes"),
        ({"etag": ""}, "a tag"),
        ({"sha256": SHA256.upper()}, "lower-case"),
        ({"sha256": "abc"}, "64"),
        ({"modified": NOW.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_description_that_cannot_be_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidObject, match=reason):
        info(**changes)


def test_description_with_an_invalid_key_is_refused() -> None:
    with pytest.raises(InvalidKey):
        info("../b")
    with pytest.raises(InvalidKey):
        PutResult(key="a//b", size_bytes=1, etag="1", sha256=SHA256)


def test_description_keeps_its_own_copy_of_the_metadata() -> None:
    given_metadata = {"kind": "mask"}
    described = info(metadata=given_metadata)
    given_metadata["kind"] = "report"
    assert described.metadata == {"kind": "mask"}


def test_description_can_be_hashed_and_pickled() -> None:
    described = info(metadata={"kind": "mask"})
    assert len({described, info(metadata={"kind": "mask"})}) == 1
    assert pickle.loads(pickle.dumps(described)) == described  # noqa: S301  # this test pickled it itself


def test_result_of_a_put_needs_a_hash() -> None:
    assert PutResult(key="a", size_bytes=0, etag="1", sha256=SHA256).sha256 == SHA256
    with pytest.raises(InvalidObject, match="SHA-256"):
        PutResult(key="a", size_bytes=0, etag="1", sha256="")


def test_page_in_order_is_accepted() -> None:
    page = ListPage(objects=(info("a"), info("a/b"), info("é")), prefixes=("c",), next_token="t", skipped=2)  # noqa: S106  # a page's
    assert [entry.key for entry in page.objects] == ["a", "a/b", "é"]


@pytest.mark.parametrize("keys", [("b", "a"), ("a", "a"), ("\U00010000", "\uffee")])
def test_page_out_of_byte_order_is_refused(keys: tuple[str, str]) -> None:
    with pytest.raises(InvalidObject, match="ascending"):
        ListPage(objects=tuple(info(key) for key in keys))


def test_page_with_impossible_token_count_or_prefix_is_refused() -> None:
    with pytest.raises(InvalidObject, match="token"):
        ListPage(objects=(), next_token="")
    with pytest.raises(InvalidObject, match="negative"):
        ListPage(objects=(), skipped=-1)
    with pytest.raises(InvalidKey):
        ListPage(objects=(), prefixes=("a/",))


def test_condition_is_exactly_one_of_two() -> None:
    assert PutCondition(create_only=True).if_match is None
    assert PutCondition(if_match="7").if_match == "7"
    for wrong in ({}, {"create_only": True, "if_match": "7"}, {"if_match": ""}):
        with pytest.raises(InvalidObject, match="choose one"):
            PutCondition(**wrong)  # type: ignore[arg-type]  # the wrong ones are the test


@pytest.mark.parametrize(
    "metadata",
    [
        {"Kind": "mask"},
        {"": "mask"},
        {"1st": "mask"},
        {"content-kind": "mask"},
        {"kind": " mask"},
        {"kind": "mask\n"},
        {"kind": "größe"},
        {"kind\n": "mask"},
        {"kind": "x" * 2045},
    ],
)
def test_metadata_that_not_every_store_keeps_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidObject, match="metadata"):
        PutOptions(metadata=metadata)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
        max_size=10,
    )
)
def test_plain_metadata_is_kept(metadata: dict[str, str]) -> None:
    assert PutOptions(metadata=metadata).metadata == metadata


def test_metadata_at_the_limit_is_kept() -> None:
    assert PutOptions(metadata={"kind": "x" * 2044}).metadata["kind"] == "x" * 2044


def test_content_type_without_a_slash_or_with_a_line_break_is_refused() -> None:
    assert PutOptions(content_type="text/plain; charset=utf-8").content_type.startswith("text/plain")
    for wrong in ("dicom", "", "text/plain\r\nx: y"):
        with pytest.raises(InvalidObject, match="media type"):
            PutOptions(content_type=wrong)


def test_tags_follow_the_narrowest_provider() -> None:
    assert validate_tags({"project A": "a/b:c=d+1"}) == {"project A": "a/b:c=d+1"}
    assert PutOptions(tags={"site": ""}).tags == {"site": ""}
    for wrong in ({"": "x"}, {"a@b": "x"}, {"a" * 129: "x"}, {"a": "x" * 257}, {"a": "x\n"}):
        with pytest.raises(InvalidObject, match="tag"):
            validate_tags(wrong)
    with pytest.raises(InvalidObject, match="at most 10"):
        validate_tags({f"t{number}": "" for number in range(11)})


@given(st.binary(max_size=30), st.integers(0, 40), st.none() | st.integers(1, 40))
def test_clipped_range_selects_what_slicing_does(data: bytes, start: int, length: int | None) -> None:
    stop = None if length is None else start + length
    clipped = ByteRange(start=start, stop=stop).clipped(len(data))
    assert data[clipped] == data[start:stop]
    assert 0 <= clipped.start <= clipped.stop <= len(data)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (3, 3), (3, 2), (0, 0)])
def test_empty_or_negative_range_is_refused(start: int, stop: int | None) -> None:
    with pytest.raises(InvalidObject, match="no range"):
        ByteRange(start=start, stop=stop)
