"""tds-cli."""
