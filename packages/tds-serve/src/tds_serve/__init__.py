"""tds-serve."""
