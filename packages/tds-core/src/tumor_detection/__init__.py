"""Friendly names for tds_core."""
