"""The identity of the bundle that ships with this package; written by `tools/default_bundle/pack.py`."""

from typing import Final

DEFAULT_BUNDLE_SHA256: Final = "dd00a1b459558faf7346ae6a1cc66638132a8220b2e8eeb3524198b9f4e8e801"
"""SHA-256 of the default bundle's manifest."""
