"""Headers of lines of text: their fields, and the data files that they name."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from tds_data.errors import VolumeReadError

MAX_HEADER_BYTES: Final = 1 << 20
"""No header is longer; what looks like a longer one is something else."""

_SHOWN: Final = 60
_MAX_LENGTH: Final = 1 << 48  # of an axis, in voxels


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one header.

    Attributes:
        path: The file, for errors.
        values: The text of each field by its name.
    """

    path: Path
    values: Mapping[str, str]

    def refuse(self, key: str, advice: str) -> NoReturn:
        """Raise an error on one field.

        Args:
            key: Its name.
            advice: What is wrong with it and what to do.

        Raises:
            VolumeReadError: Always.
        """
        value = self.values.get(key)
        seen = "has no" if value is None else "says"
        shown = "" if value is None else f": {value[:_SHOWN]}{'...' if len(value) > _SHOWN else ''}"
        raise VolumeReadError(self.path, f"its header {seen} '{key}{shown}'; {advice}")

    def first(self, *keys: str) -> str:
        """Return the name of the first of several fields that is there, or the first name.

        Args:
            keys: Names for the same thing.
        """
        return next((key for key in keys if key in self.values), keys[0])

    def lengths(self, key: str, count: int) -> tuple[int, ...]:
        """Return the lengths of so many axes.

        Args:
            key: The field.
            count: How many there must be.

        Raises:
            VolumeReadError: If it holds anything else.
        """
        words = self.values.get(key, "").split()
        found = tuple(int(word) for word in words if re.fullmatch(r"\d{1,18}", word))
        if len(found) != len(words) or len(found) != count or not all(0 < n <= _MAX_LENGTH for n in found):
            self.refuse(key, f"it must give {count} lengths above zero; export it again")
        return found

    def numbers(self, key: str, count: int, *, positive: bool = False) -> tuple[float, ...]:
        """Return so many finite numbers.

        Args:
            key: The field.
            count: How many there must be.
            positive: Whether zero and less are refused.

        Raises:
            VolumeReadError: If it holds anything else.
        """
        found = parse_numbers(self.values.get(key, "").split())
        if found is None or len(found) != count or (positive and min(found) <= 0):
            kind = "numbers above zero" if positive else "finite numbers"
            self.refuse(key, f"it must give {count} {kind}; export it again")
        return found

    def integer(self, key: str, *, lowest: int, default: int | None = None) -> int:
        """Return a whole number.

        Args:
            key: The field.
            lowest: The smallest number allowed.
            default: What its absence means; without one the field must be there.

        Raises:
            VolumeReadError: If it holds anything else.
        """
        if default is not None and key not in self.values:
            return default
        text = self.values.get(key, "")
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or int(text) < lowest:
            self.refuse(key, f"it must be a whole number, at least {lowest}; export it again")
        return int(text)

    def data_file(self, key: str) -> Path:
        """Return the path of the data file that a header names.

        Args:
            key: The field with its name, relative to the folder of the header.

        Raises:
            VolumeReadError: If it lies outside that folder, by its name or through a link.
        """
        folder, name = self.path.parent, self.values[key]
        if "\0" in name or not name:
            self.refuse(key, "that names no file; export it again")
        path = folder / name
        try:
            inside = path.resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError):  # a loop of links
            inside = False
        if Path(name).is_absolute() or ".." in Path(name).parts or not inside:
            self.refuse(key, "the data file must lie in the folder of its header; put both there and name it so")
        return path


def parse_numbers(words: list[str]) -> tuple[float, ...] | None:
    """Return words as finite numbers, or `None` if one is none.

    Args:
        words: Numbers in decimal notation.
    """
    try:
        found = tuple(float(word) for word in words)
    except ValueError:
        return None
    return found if all(math.isfinite(number) for number in found) else None
