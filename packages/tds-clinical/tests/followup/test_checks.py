import numpy as np

from tds_clinical.followup.checks import find_obstacles

from .points import SECOND, Ball, point


def test_a_lesion_lies_beyond_an_image_where_the_move_brings_it() -> None:
    points = [point([Ball(at=(-18, 0, 0), radius=8)]), point([], SECOND)]
    moved = np.eye(4)
    moved[0, 3] = -30.0
    assert find_obstacles(points, [np.eye(4), np.eye(4)]) == ()
    (told,) = find_obstacles(points, [moved, np.eye(4)])
    assert told.startswith("Lesions 1 of time point 1 lie where the images of time point 2 do not reach")
