"""Names that lesions keep from one time point to the next.

A lesion that is found again keeps its Tracking UID. Of one that split the largest piece keeps it, and the others get
new ones; several that merged go on under that of the largest. A lesion that was gone and comes back at its old place
gets its old one back.
"""

from collections.abc import Collection, Mapping, Sequence

from tds_clinical.followup.matching import Group, Link
from tds_clinical.uids import Uids

Volumes = Mapping[int, float]
"""Millilitres of each lesion, by its number."""


def first_names(numbers: Sequence[int], uids: Uids, known: Mapping[int, str]) -> dict[int, str]:
    """Return the Tracking UIDs at the first time point.

    Args:
        numbers: Numbers of its lesions.
        uids: Makes those that are not known.
        known: Those that earlier results gave them.
    """
    return {number: known.get(number, str(uids.make("lesion", 0, number))) for number in numbers}


def next_names(groups: Sequence[Group], volumes: tuple[Volumes, Volumes], before: Mapping[int, str]) -> dict[int, str]:
    """Return the Tracking UIDs that go on to the next time point, by the number there; new lesions have none yet.

    Args:
        groups: What became of the lesions.
        volumes: Their volumes before and after.
        before: Tracking UIDs at the earlier time point.
    """
    old, new = volumes
    names = {}
    for group in groups:
        if group.before and group.after:
            heir = max(group.after, key=lambda number: (new[number], -number))
            parent = max(group.before, key=lambda number: (old[number], -number))
            names[heir] = before[parent]
    return names


def descend(links: Sequence[Link], numbers: Collection[int]) -> frozenset[int]:
    """Return the lesions of the next time point that are linked to any of some lesions.

    Args:
        links: Which are the same.
        numbers: Lesions of the earlier time point.
    """
    return frozenset(after for before, after in links if before in numbers)
