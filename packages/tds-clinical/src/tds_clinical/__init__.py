"""tds-clinical."""
