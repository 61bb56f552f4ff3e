import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_server import ServerError, ServerSettings, SettingsError

FOLDER = Path("/srv/tds").absolute()


def test_service_listens_on_this_machine_only_unless_told_otherwise() -> None:
    settings = ServerSettings(data_folder=FOLDER)
    assert (settings.host, settings.port, settings.max_upload_bytes) == ("127.0.0.1", 8000, 4 * 1024**3)


def test_empty_environment_gives_the_defaults() -> None:
    assert ServerSettings.from_environment({}, default_folder=FOLDER) == ServerSettings(data_folder=FOLDER)


@given(
    host=st.sampled_from(["127.0.0.1", "localhost", "::1", "127.1.2.3"]),
    port=st.integers(0, 65535),
    limit=st.integers(1, 2**50),
)
def test_settings_written_as_variables_read_back_equal(host: str, port: int, limit: int) -> None:
    settings = ServerSettings(data_folder=FOLDER, host=host, port=port, max_upload_bytes=limit)
    environment = {
        "TDS_SERVER_DATA_FOLDER": str(FOLDER),
        "TDS_SERVER_HOST": host,
        "TDS_SERVER_PORT": str(port),
        "TDS_SERVER_MAX_UPLOAD_BYTES": str(limit),
        "PATH": "/usr/bin",
    }
    assert ServerSettings.from_environment(environment, default_folder=Path("relative")) == settings


@pytest.mark.parametrize(
    ("variable", "value", "setting"),
    [
        ("TDS_SERVER_HOST", "0.0.0.0", "host"),  # noqa: S104  # it is refused
        ("TDS_SERVER_HOST", "::", "host"),
        ("TDS_SERVER_HOST", "", "host"),
        ("TDS_SERVER_HOST", "scanner.example.org", "host"),
        ("TDS_SERVER_PORT", "65536", "port"),
        ("TDS_SERVER_PORT", "-1", "port"),
        ("TDS_SERVER_PORT", "http", "port"),
        ("TDS_SERVER_PORT", "", "port"),
        ("TDS_SERVER_PORT", "٨٠", "port"),
        ("TDS_SERVER_MAX_UPLOAD_BYTES", "0", "max_upload_bytes"),
        ("TDS_SERVER_MAX_UPLOAD_BYTES", "4G", "max_upload_bytes"),
        ("TDS_SERVER_DATA_FOLDER", "data", "data_folder"),
        ("TDS_SERVER_DATA_FOLDER", "", "data_folder"),
        ("TDS_SERVER_MAX_UPLOAD_BYTE", "1", "TDS_SERVER_MAX_UPLOAD_BYTE"),
    ],
)
def test_value_that_cannot_be_used_is_refused_by_name(variable: str, value: str, setting: str) -> None:
    with pytest.raises(SettingsError, match=setting) as caught:
        ServerSettings.from_environment({variable: value}, default_folder=FOLDER)
    assert caught.value.setting == setting
    assert isinstance(caught.value, ServerError)


def test_unknown_variable_is_answered_with_those_that_exist() -> None:
    with pytest.raises(SettingsError, match="TDS_SERVER_DATA_FOLDER, TDS_SERVER_HOST, TDS_SERVER_PORT"):
        ServerSettings.from_environment({"TDS_SERVER_WORKERS": "4"}, default_folder=FOLDER)


def test_error_survives_pickling() -> None:
    error = SettingsError("port", "70000 is no TCP port")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # this test pickled it itself
    assert (str(again), again.setting) == (str(error), "port")
