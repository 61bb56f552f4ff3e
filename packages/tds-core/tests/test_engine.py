from hypothesis import given
from hypothesis import strategies as st

from tds_core.engine import MULTIPLE, padded_shape

shapes = st.tuples(*[st.integers(1, 400)] * 3)


@given(shapes)
def test_padding_is_the_least_that_makes_multiples(shape: tuple[int, int, int]) -> None:
    for wanted, padded in zip(shape, padded_shape(shape), strict=True):
        assert padded % MULTIPLE == 0
        assert 0 <= padded - wanted < MULTIPLE
