"""tds-server."""
