"""The settings of the segmentation service. The service itself is not here yet; see the README."""

from tds_server.errors import ServerError, SettingsError
from tds_server.settings import ServerSettings

__all__ = ["ServerError", "ServerSettings", "SettingsError"]
