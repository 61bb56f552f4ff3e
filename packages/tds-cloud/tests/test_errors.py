import pickle

import pytest

import tds_cloud
from tds_cloud import (
    AccessDenied,
    BlobNotFound,
    CloudError,
    CredentialsInUrl,
    DeadlineExceeded,
    InsecureEndpoint,
    IntegrityError,
    InvalidKey,
    InvalidObject,
    ObjectExists,
    PreconditionFailed,
    StoreUnavailable,
)

STORE = "s3://studies/2026"

EXAMPLES: list[tuple[CloudError, type[Exception]]] = [
    (InvalidKey("../x", "a segment ends in a dot"), ValueError),
    (InvalidObject("the size is negative"), ValueError),
    (CredentialsInUrl("a store URL holds no credentials"), ValueError),
    (InsecureEndpoint("an endpoint needs https://"), ValueError),
    (BlobNotFound("a/b", store=STORE), FileNotFoundError),
    (AccessDenied("put", store=STORE, key="a/b"), PermissionError),
    (PreconditionFailed("a/b", store=STORE, expected_etag="7"), OSError),
    (ObjectExists("a/b", store=STORE), FileExistsError),
    (IntegrityError("a/b", store=STORE, expected="aa", found="bb"), OSError),
    (StoreUnavailable("503", store=STORE, attempts=4), ConnectionError),
    (DeadlineExceeded(store=STORE, attempts=2, timeout_s=1.5), TimeoutError),
]


@pytest.mark.parametrize(("error", "builtin"), EXAMPLES, ids=lambda value: getattr(value, "__name__", None))
def test_error_is_a_cloud_error_and_a_builtin_one(error: CloudError, builtin: type[Exception]) -> None:
    assert isinstance(error, CloudError)
    assert isinstance(error, builtin)


@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_error_survives_pickling_with_message_and_attributes(error: CloudError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # this test pickled it itself
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_public_error_has_an_example_above() -> None:
    public = {value for name in tds_cloud.__all__ if isinstance(value := getattr(tds_cloud, name), type)}
    errors = {value for value in public if issubclass(value, CloudError)} - {CloudError, tds_cloud.InvalidStoreUrl}
    assert errors == {type(error) for error, _ in EXAMPLES}


def test_message_names_key_and_store() -> None:
    for error in (BlobNotFound("a/b", store=STORE), IntegrityError("a/b", store=STORE, expected="1", found="2")):
        assert "'a/b'" in str(error)
        assert STORE in str(error)


def test_message_of_a_refused_store_names_no_key() -> None:
    error = AccessDenied("list", store=STORE)
    assert error.key is None
    assert str(error).startswith("s3://studies/2026 refused list;")


def test_message_escapes_control_characters_and_cuts_a_long_key() -> None:
    message = str(InvalidKey("\x1b[31m" + "x" * 5000, "it is too long"))
    assert message.isprintable()
    assert len(message) < 300


def test_deadline_states_time_and_attempts() -> None:
    assert "after 2 attempts: not finished within 1.5 s" in str(
        DeadlineExceeded(store=STORE, attempts=2, timeout_s=1.5)
    )


def test_create_only_message_says_that_the_object_exists() -> None:
    assert "exists already" in str(ObjectExists("a/b", store=STORE))
    assert "entity tag 7" in str(PreconditionFailed("a/b", store=STORE, expected_etag="7"))
