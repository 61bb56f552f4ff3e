"""tds-cloud."""
