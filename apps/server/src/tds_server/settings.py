"""How the service is set up.

Each field of `ServerSettings` is read from the environment variable `TDS_SERVER_` plus its name in upper case. A
variable that begins like this and names no field is refused, so that a misspelt limit cannot go unnoticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

from tds_cloud import is_loopback
from tds_server.errors import SettingsError

PREFIX: Final = "TDS_SERVER_"
"""What the names of the environment variables begin with."""

_MAX_PORT: Final = 65535
_GIB: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the service is set up.

    Attributes:
        data_folder: Absolute folder for uploads, jobs and results; made when first needed.
        host: Address to listen on. Only this machine's own, since the service has no authentication yet.
        port: TCP port, 1 to 65535, or 0 for any that is free.
        max_upload_bytes: Largest study that is accepted, in bytes; more than 0.

    Raises:
        SettingsError: If a value is out of its range.

    Examples:
        >>> ServerSettings(data_folder=Path("/srv/tds")).host
        '127.0.0.1'
    """

    data_folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    max_upload_bytes: int = 4 * _GIB

    def __post_init__(self) -> None:
        if not self.data_folder.is_absolute():
            raise SettingsError("data_folder", f"{str(self.data_folder)!r} is not absolute; write the whole path")
        if not is_loopback(self.host):
            reason = (
                f"{self.host!r} would let other machines in, and there is no authentication yet; "
                "use 127.0.0.1, ::1 or localhost"
            )
            raise SettingsError("host", reason)
        if not 0 <= self.port <= _MAX_PORT:
            raise SettingsError("port", f"{self.port} is no TCP port; use 1 to {_MAX_PORT}, or 0 for any free one")
        if self.max_upload_bytes <= 0:
            raise SettingsError(
                "max_upload_bytes", f"{self.max_upload_bytes} would refuse every study; use more than 0"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, default_folder: Path) -> Self:
        """Return the settings that environment variables describe, with the defaults for the rest.

        Args:
            environment: Variables by name, usually `os.environ`; those without the prefix are not looked at.
            default_folder: Absolute folder to use when `TDS_SERVER_DATA_FOLDER` is not set.

        Raises:
            SettingsError: If a variable names no setting or its value cannot be used.

        Examples:
            >>> ServerSettings.from_environment({"TDS_SERVER_PORT": "9000"}, default_folder=Path("/srv/tds")).port
            9000
        """
        given = {
            name.removeprefix(PREFIX).lower(): text for name, text in environment.items() if name.startswith(PREFIX)
        }
        known = [field.name for field in fields(cls)]
        for name in sorted(given.keys() - set(known)):
            reason = f"there is no such setting; there are {', '.join(PREFIX + field.upper() for field in known)}"
            raise SettingsError(PREFIX + name.upper(), reason)
        defaults = {field.name: field.default for field in fields(cls)}
        return cls(
            data_folder=Path(given["data_folder"]) if "data_folder" in given else default_folder,
            host=given.get("host", str(defaults["host"])),
            port=_integer("port", given.get("port", str(defaults["port"]))),
            max_upload_bytes=_integer(
                "max_upload_bytes", given.get("max_upload_bytes", str(defaults["max_upload_bytes"]))
            ),
        )


def _integer(setting: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(setting, f"{text[:40]!r} is no whole number; write digits only")
    return int(text)
