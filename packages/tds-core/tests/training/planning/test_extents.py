import itertools
import math
from collections.abc import Callable

import pytest

from tds_core.training.planning import Fingerprint
from tds_core.training.planning.extents import choose_spacing, first_patch, shrinking_patches

Like = Callable[..., Fingerprint]


def test_spacing_is_the_median(like: Like) -> None:
    spacing, reasons = choose_spacing(like(spacings=[(1.0, 1.0, 1.0), (0.8, 0.9, 1.0), (1.2, 0.9, 1.5)]))
    assert spacing == (1.0, 0.9, 1.0)
    assert reasons == ["The median of the 3 cases' voxels is 1 x 0.9 x 1 mm."]


def test_coarse_axis_takes_the_fine_end_of_its_voxels(like: Like) -> None:
    spacings = [(0.7, 0.7, 5.0)] * 9 + [(0.7, 0.7, 2.0)] * 2
    spacing, reasons = choose_spacing(like((300, 300, 25), spacings=spacings))
    assert spacing == (0.7, 0.7, 2.0)
    assert "Along z" in reasons[1]


def test_coarse_axis_is_never_finer_than_the_others(like: Like) -> None:
    spacings = [(1.0, 1.0, 5.0)] * 9 + [(1.0, 1.0, 0.5)] * 2
    assert choose_spacing(like((300, 300, 25), spacings=spacings))[0] == (1.0, 1.0, 1.0)


def test_long_voxels_that_are_not_fewer_keep_their_median(like: Like) -> None:
    spacings = [(0.7, 0.7, 5.0)] * 9 + [(0.7, 0.7, 2.0)] * 2
    assert choose_spacing(like((100, 100, 90), spacings=spacings))[0] == (0.7, 0.7, 5.0)


def test_first_patch_is_a_cube_in_millimetres_within_the_case() -> None:
    assert first_patch((1.0, 1.0, 1.0), (500, 500, 500)) == (256, 256, 256)
    x, y, z = first_patch((0.5, 0.5, 4.0), (5000, 5000, 5000))
    assert (x, x / z) == (y, pytest.approx(8, rel=0.01))
    assert x * y * z == pytest.approx(256**3, rel=0.01)
    assert first_patch((1.0, 1.0, 1.0), (140, 400, 0.4)) == (140, 256, 1)


def test_patches_shrink_along_the_axis_that_shows_most() -> None:
    found = shrinking_patches((64, 64, 30), (128, 64, 30), lambda _: (16, 16, 16))
    assert found[0] == (64, 64, 32)
    assert found[1:3] == [(64, 64, 16), (64, 48, 16)]
    assert found[-1] == (16, 16, 16)
    assert len(set(found)) == len(found)
    for one, other in itertools.pairwise(found):
        assert sum(a - b for a, b in zip(one, other, strict=True)) == 16


def test_patch_settles_where_what_divides_it_depends_on_it() -> None:
    def factors(patch: tuple[int, int, int]) -> tuple[int, int, int]:
        deep = 32 if max(patch) >= 100 else 8
        return deep, deep, deep

    found = shrinking_patches((120, 90, 90), (90, 90, 90), factors)
    assert found[0] == (128, 96, 96)
    assert found[-1] == (8, 8, 8)
    assert all(math.prod(a) > math.prod(b) for a, b in itertools.pairwise(found))
    assert all(n % of == 0 for patch in found for n, of in zip(patch, factors(patch), strict=True))
