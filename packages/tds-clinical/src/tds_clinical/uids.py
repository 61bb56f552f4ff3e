"""Unique identifiers of the objects that we make, random or reproducible.

UIDs are of the form `2.25.N` (PS3.5, section B.2), so they need no registered root.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, Self

from pydicom.uid import UID

_PREFIX: Final = "2.25."
_BYTES: Final = 16
_VERSION_MASK: Final = ~(0xF << 76)
_VARIANT_MASK: Final = ~(0x3 << 62)


@dataclass(frozen=True, slots=True)
class Uids:
    """Makes the UIDs of one set of results: the same parts give the same UID, other parts another one.

    Attributes:
        entropy: What sets this set of results apart from all others.

    Examples:
        >>> uids = Uids("example")
        >>> uids.make("seg", 1) == uids.make("seg", 1)
        True
        >>> uids.make("seg", 1) == uids.make("seg", 2)
        False
    """

    entropy: str

    @classmethod
    def random(cls) -> Self:
        """Return identifiers that nobody has made before."""
        return cls(secrets.token_hex(_BYTES))

    @classmethod
    def reproducible(cls, *parts: str) -> Self:
        """Return identifiers that depend on nothing but what is given.

        Args:
            parts: What the results were made from: UIDs of the sources, hashes of the mask and the model.
        """
        return cls("\\".join(parts))

    def make(self, *parts: str | int) -> UID:
        """Return the UID of one thing.

        Args:
            parts: What it is, such as `"seg", "instance"`.
        """
        text = "\0".join([self.entropy, *map(str, parts)])
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:_BYTES], "big")
        number = (number & _VERSION_MASK) | (0x8 << 76)  # a UUID of version 8, RFC 9562
        number = (number & _VARIANT_MASK) | (0x2 << 62)
        return UID(f"{_PREFIX}{number}")
