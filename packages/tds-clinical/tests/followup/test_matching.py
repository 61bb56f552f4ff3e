import numpy as np
import pytest

from tds_clinical.followup.matching import LesionSpace, Link, find_links
from tds_data.volume import Volume


def row(*lesions: tuple[int, int]) -> LesionSpace:
    """Return lesions along a line, each from one voxel to another."""
    voxels = np.zeros((44, 3, 3), np.uint16)
    for number, (first, last) in enumerate(lesions, start=1):
        voxels[first : last + 1, 1, 1] = number
    return LesionSpace(lesions=Volume(voxels, np.eye(4)), numbers=tuple(range(1, len(lesions) + 1)))


@pytest.mark.parametrize(
    ("start", "links"),
    [
        (17, ((1, 1), (1, 2), (2, 2))),  # three voxels of twenty in common
        (18, ((1, 1), (1, 2), (2, 2))),  # two: a tenth
        (19, ((1, 1), (2, 2))),
    ],
)
def test_a_tenth_of_the_smaller_lesion_links_two(start: int, links: tuple[Link, ...]) -> None:
    before = row((0, 19), (22, 41))
    after = row((0, 14), (start, start + 19))
    assert find_links(before, after, np.eye(4), 3.0) == links


def test_lesions_are_linked_where_the_move_brings_them() -> None:
    move = np.eye(4)
    move[0, 3] = 20.0
    assert find_links(row((2, 9)), row((22, 29)), move, 0.0) == ((1, 1),)
    assert find_links(row((2, 9)), row((22, 29)), np.eye(4), 0.0) == ()
