import pickle
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_cloud import (
    CredentialsInUrl,
    InsecureEndpoint,
    InvalidKey,
    InvalidStoreUrl,
    Scheme,
    StoreUrl,
    is_loopback,
    parse_store_url,
    validate_prefix,
)

SECRET = "hunter2hunter2"  # noqa: S105  # no real one


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://studies", StoreUrl(scheme=Scheme.S3, bucket="studies")),
        ("s3://studies/a/b/", StoreUrl(scheme=Scheme.S3, bucket="studies", prefix="a/b")),
        (
            "s3://studies/a%20b?endpoint=https://minio.example:9000&region=eu-central-1",
            StoreUrl(
                scheme=Scheme.S3,
                bucket="studies",
                prefix="a b",
                endpoint="https://minio.example:9000",
                region="eu-central-1",
            ),
        ),
        (
            "az://scans/x?account=clinic01",
            StoreUrl(scheme=Scheme.AZURE, bucket="scans", prefix="x", account="clinic01"),
        ),
        (
            "az://scans?endpoint=http://127.0.0.1:10000/devstoreaccount1",
            StoreUrl(scheme=Scheme.AZURE, bucket="scans", endpoint="http://127.0.0.1:10000/devstoreaccount1"),
        ),
        ("gs://my_bucket.org/x", StoreUrl(scheme=Scheme.GCS, bucket="my_bucket.org", prefix="x")),
        ("file:///data/a%20b/", StoreUrl(scheme=Scheme.FILE, bucket="/data/a b")),
        ("file://localhost/data", StoreUrl(scheme=Scheme.FILE, bucket="/data")),
        ("file:///", StoreUrl(scheme=Scheme.FILE, bucket="/")),
        ("memory://", StoreUrl(scheme=Scheme.MEMORY, bucket="")),
        ("memory://cache/x", StoreUrl(scheme=Scheme.MEMORY, bucket="cache", prefix="x")),
        ("memory:///x", StoreUrl(scheme=Scheme.MEMORY, bucket="", prefix="x")),
        ("S3://studies", StoreUrl(scheme=Scheme.S3, bucket="studies")),
    ],
)
def test_url_is_read_part_by_part(url: str, expected: StoreUrl) -> None:
    assert parse_store_url(url) == expected
    assert parse_store_url(str(expected)) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"s3://AKIAEXAMPLE:{SECRET}@studies/a",
        f"s3://{SECRET}@studies",
        f"s3://studies?secret_key={SECRET}",
        f"s3://studies?aws_access_key_id={SECRET}",
        f"az://scans?sig={SECRET}",
        f"az://scans?sv=2024&SAS_TOKEN={SECRET}",
        f"gs://studies?password={SECRET}",
        f"s3://studies?endpoint=https://user:{SECRET}@minio.example",
        f"s3://studies?endpoint=http://user:{SECRET}@localhost",
        f"file://me:{SECRET}@localhost/data",
    ],
)
def test_url_with_credentials_is_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(InvalidStoreUrl, match=r".") as caught:
        parse_store_url(url)
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    if "sv=" not in url:
        assert caught.type is CredentialsInUrl


@given(st.text(max_size=40), st.sampled_from(["s3://", "az://", "gs://", "memory://", "file://", "ftp://", ""]))
def test_any_text_is_read_or_refused_without_quoting_it(text: str, start: str) -> None:
    marked = f"{start}{text}{SECRET}"
    said = ""
    try:
        url = parse_store_url(marked)
    except InvalidStoreUrl as error:
        said = repr(error)
    else:
        assert parse_store_url(str(url)) == url
    assert SECRET not in said


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://minio.example:9000",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://10.0.0.1",
        "http://0.0.0.0:9000",
        "http://[2001:db8::1]:9000",
    ],
)
def test_endpoint_without_tls_on_another_machine_is_refused(endpoint: str) -> None:
    with pytest.raises(InsecureEndpoint, match="https://"):
        parse_store_url(f"s3://studies?endpoint={quote(endpoint)}")


@pytest.mark.parametrize(
    "endpoint", ["http://localhost:9000", "http://127.8.9.1", "http://[::1]:9000", "https://minio.example/path"]
)
def test_endpoint_with_tls_or_on_this_machine_is_accepted(endpoint: str) -> None:
    assert parse_store_url(f"s3://studies?endpoint={quote(endpoint)}").endpoint == endpoint


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("studies/a", "scheme://"),
        ("s3:studies", "scheme://"),
        ("https://studies/a", "one of s3, az"),
        ("s3://", "bucket name"),
        ("s3:///a", "bucket name"),
        ("s3://ab", "bucket name"),
        ("s3://Studies", "bucket name"),
        ("s3://minio.example:9000/studies", "bucket name"),
        ("s3://a..b", "bucket name"),
        ("az://a--b", "bucket name"),
        ("az://a.b", "bucket name"),
        ("memory://..", "bucket name"),
        ("s3://minio:port/studies", "scheme://"),
        ("s3://[studies/a", "scheme://"),
        ("s3://studies/a#b", "fragment"),
        ("s3://studies/a b", "space"),
        ("s3://studies/a\nb", "control"),
        ("s3://studies/../b", "ends in a dot"),
        ("s3://studies/%2e%2e/b", "ends in a dot"),
        ("s3://studies/a%00", r"U\+0000"),
        ("s3://studies/a%ff", "UTF-8"),
        ("s3://studies//a", "slash"),
        ("s3://studies?region=eu&region=us", "twice"),
        ("s3://studies?account=clinic01", "endpoint, region"),
        ("s3://studies?region=Frankfurt", "region"),
        ("memory://x?region=eu", "none"),
        ("az://scans?account=no-hyphens", "account"),
        ("s3://studies?endpoint=", "scheme://"),
        ("s3://studies?endpoint=ftp://localhost", "an endpoint is"),
        ("s3://studies?endpoint=https://", "an endpoint is"),
        ("s3://studies?endpoint=https://host?x", "an endpoint is"),
        ("s3://studies?endpoint=https://h%C3%B6st", "an endpoint is"),
        ("file://data/x", "three slashes"),
        ("file://", "absolute"),
        ("file://localhost", "absolute"),
        ("file:///data/../etc", "written out"),
        ("file:///data//x", "written out"),
        ("file:///data%00", "control"),
    ],
)
def test_broken_part_is_named(url: str, reason: str) -> None:
    with pytest.raises(InvalidStoreUrl, match=reason):
        parse_store_url(url)


def test_value_made_by_hand_is_checked_like_a_url() -> None:
    with pytest.raises(InvalidStoreUrl, match="absolute"):
        StoreUrl(scheme=Scheme.FILE, bucket="/data", prefix="x")
    with pytest.raises(InvalidStoreUrl, match="endpoint, region"):
        StoreUrl(scheme=Scheme.S3, bucket="studies", account="clinic01")
    with pytest.raises(InsecureEndpoint):
        StoreUrl(scheme=Scheme.GCS, bucket="studies", endpoint="http://example.org")


@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True),
    prefix=st.text(max_size=30),
    region=st.none() | st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True),
    port=st.none() | st.integers(1, 65535),
)
def test_text_form_reads_back_to_an_equal_value(bucket: str, prefix: str, region: str | None, port: int | None) -> None:
    try:
        validate_prefix(prefix)
    except InvalidKey:
        with pytest.raises(InvalidStoreUrl, match="rules of keys"):
            StoreUrl(scheme=Scheme.S3, bucket=bucket, prefix=prefix)
        return
    endpoint = None if port is None else f"http://localhost:{port}"
    url = StoreUrl(scheme=Scheme.S3, bucket=bucket, prefix=prefix, endpoint=endpoint, region=region)
    assert parse_store_url(str(url)) == url
    assert pickle.loads(pickle.dumps(url)) == url  # noqa: S301  # this test pickled it itself


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1), max_size=4)
)
def test_folder_reads_back_to_an_equal_value(segments: list[str]) -> None:
    folder = "/" + "/".join(segments)
    if {".", ".."} & set(segments):
        with pytest.raises(InvalidStoreUrl, match="written out"):
            StoreUrl(scheme=Scheme.FILE, bucket=folder)
    else:
        url = StoreUrl(scheme=Scheme.FILE, bucket=folder)
        assert parse_store_url(str(url)) == url


def test_only_loopback_addresses_and_localhost_are_this_machine() -> None:
    assert all(is_loopback(host) for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.255.0.1", "::1"))
    assert not any(is_loopback(host) for host in ("", "2130706433", "127.1", "0.0.0.0", "::", "db.localhost"))  # noqa: S104  # nothing is bound
