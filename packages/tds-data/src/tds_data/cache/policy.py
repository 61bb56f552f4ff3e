"""What to do about a case that cannot be used."""

from enum import StrEnum


class DamagePolicy(StrEnum):
    """Whether a case that cannot be used ends the work, or is left out with a record."""

    REFUSE = "refuse"
    SKIP = "skip"
