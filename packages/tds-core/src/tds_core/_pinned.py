"""The identity of the bundle that ships with this package; written by `tools/default_bundle/pack.py`."""

from typing import Final

DEFAULT_BUNDLE_SHA256: Final = "2e15035c150dfdd49369a94d77b0bfdac368496d28c527baa29a91111705b8f1"
"""SHA-256 of the default bundle's manifest."""
