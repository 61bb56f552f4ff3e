import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_core.errors import ConfigError
from tds_core.training.distributed import Launch, World, share_of

WHOLE = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node-1",
    "MASTER_PORT": "29500",
}


def test_place_is_read_from_the_environment_of_torchrun() -> None:
    assert Launch.from_environment(WHOLE) == Launch(rank=3, size=4, local_rank=1, local_size=2)


def test_without_torchrun_a_process_is_alone() -> None:
    assert Launch.from_environment({"PATH": "/usr/bin", "RANK": ""}) == Launch()


@pytest.mark.parametrize("missing", sorted(WHOLE))
def test_environment_that_is_set_by_half_is_refused_and_the_missing_named(missing: str) -> None:
    half = {name: value for name, value in WHOLE.items() if name != missing}
    with pytest.raises(ConfigError, match=rf"but not {missing}; start the run with torchrun"):
        Launch.from_environment(half)


def test_number_that_is_none_is_refused_with_what_it_is() -> None:
    with pytest.raises(ConfigError, match="WORLD_SIZE in the environment is a whole number; it is 'two'"):
        Launch.from_environment({**WHOLE, "WORLD_SIZE": "two"})


@pytest.mark.parametrize("wrong", [{"RANK": "4"}, {"LOCAL_RANK": "2"}, {"LOCAL_WORLD_SIZE": "5"}, {"RANK": "-1"}])
def test_numbers_that_do_not_fit_together_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="cannot be"):
        Launch.from_environment({**WHOLE, **wrong})


@given(count=st.integers(0, 50), size=st.integers(1, 9))
def test_shares_hold_everything_once_in_order_and_differ_by_one_at_most(count: int, size: int) -> None:
    shares = [share_of(count, rank, size) for rank in range(size)]
    assert [index for share in shares for index in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_batch_that_leaves_a_process_without_work_is_refused() -> None:
    world = World(Launch(rank=0, size=3, local_rank=0, local_size=3))
    world.check_batch(3)
    with pytest.raises(ConfigError, match=r"2 patches cannot be shared by 3 processes; raise sampling\.batch to 3"):
        world.check_batch(2)
