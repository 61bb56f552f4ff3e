"""What a layout's reader finds, before the files are hashed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SPLIT: Final = "split"
"""Attribute that tells which part of a published split a case is in; absent for training."""

TEST: Final = "test"
"""Value of `SPLIT` for cases that are kept for testing."""

SESSION: Final = "session"
"""Attribute that tells which of a patient's time points a case is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an image is.

    Attributes:
        path: Relative to the root, with forward slashes.
        index: Position along the fourth axis, if the file holds several images.
    """

    path: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A case whose files are not hashed yet; the fields are those of `CaseEntry`."""

    name: str
    patient: str
    images: Mapping[str, Place]
    mask: Place | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    phantom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A data set whose files are not hashed yet.

    Attributes:
        layout: Which layout it is in.
        drafts: Its cases.
        expected: The images that every case should have; those missing are noted.
        scheme: Its label scheme, or `None` if the masks have to tell.
        labels: As in `Manifest`.
        licence: As in `Manifest`.
        attributes: As in `Manifest`.
        problems: As in `Manifest`.
    """

    layout: str
    drafts: tuple[Draft, ...]
    expected: tuple[str, ...] = ()
    scheme: str | None = None
    labels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    licence: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
