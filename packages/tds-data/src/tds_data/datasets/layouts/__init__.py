"""Readers of the layouts that data sets come in."""
