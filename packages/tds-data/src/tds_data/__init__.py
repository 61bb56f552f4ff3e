"""tds-data."""
