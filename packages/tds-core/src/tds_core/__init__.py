"""tds-core."""
