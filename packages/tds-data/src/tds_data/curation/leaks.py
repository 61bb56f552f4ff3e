"""The same patient or image on both sides of a split."""

from dataclasses import dataclass
from enum import StrEnum


class LeakKind(StrEnum):
    """How two cases are found to be one, the surest first."""

    PATIENT = "same patient"
    FILE = "same file"
    IMAGE = "same image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Two cases that are on different sides of a split and should not be.

    Attributes:
        kind: How it shows.
        cases: Names of both, in order.
        places: Where each of them is: `fold 0`, `holdout`.
        images: Which image of each it is, for files and images.
        correlation: How alike the images are, from 0 to 1, for images.
    """

    kind: LeakKind
    cases: tuple[str, str]
    places: tuple[str, str]
    images: tuple[str, str] | None = None
    correlation: float | None = None

    @property
    def message(self) -> str:
        """What is wrong, in a few words."""
        first, second = self.cases
        told = f"{first!r} ({self.places[0]}) and {second!r} ({self.places[1]})"
        if self.kind is LeakKind.PATIENT:
            return f"{told} are of the same patient"
        images = " and ".join(dict.fromkeys(self.images or ()))
        if self.kind is LeakKind.FILE:
            return f"{told} have the same file ({images})"
        return f"{told} have nearly the same image ({images}, correlation {self.correlation or 0.0:.2f})"
