"""Lesions over all time points: which come from which."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tds_clinical.followup.matching import Link
from tds_clinical.followup.sizes import LesionSize
from tds_clinical.followup.tracking import descend


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What criteria look at.

    Attributes:
        sizes: The lesions that enhance at each time point, by their number there.
        links: Which lesions of neighbouring time points are the same.
        returned: For each time point, lesions that were gone in between: the number there to the earlier time point
            and the number at that.
    """

    sizes: tuple[Mapping[int, LesionSize], ...]
    links: tuple[tuple[Link, ...], ...]
    returned: tuple[Mapping[int, tuple[int, int]], ...]

    def descendants(self, numbers: Iterable[int]) -> tuple[frozenset[int], ...]:
        """Return what became of some lesions of the first time point, at each time point.

        Args:
            numbers: Numbers at the first time point.
        """
        found = [frozenset(numbers)]
        for index, links in enumerate(self.links, start=1):
            back = {now for now, (point, then) in self.returned[index].items() if then in found[point]}
            found.append(descend(links, found[-1]) | back)
        return tuple(found)

    def fresh(self) -> frozenset[int]:
        """Return the enhancing lesions of the latest time point that come from none that enhanced at the first."""
        return frozenset(self.sizes[-1]) - self.descendants(self.sizes[0])[-1]
