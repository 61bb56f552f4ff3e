"""What can go wrong in tds_server.

::

    ServerError
    └── SettingsError (ValueError)   a setting cannot be used
"""


class ServerError(Exception):
    """Root of every error that tds_server raises on purpose."""


class SettingsError(ServerError, ValueError):
    """A setting cannot be used.

    Attributes:
        setting: Name of the field of `ServerSettings`, or of the environment variable that is not known.
    """

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting

    def __reduce__(self) -> tuple[type["SettingsError"], tuple[str, str]]:
        """Return how to make this error again, so that it survives pickling."""
        return type(self), (self.setting, str(self).removeprefix(f"{self.setting}: "))
