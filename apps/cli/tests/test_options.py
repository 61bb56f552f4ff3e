import pytest

from tds_cli.errors import UsageFault
from tds_cli.options import parse_max_ram, parse_series, parse_trust
from tds_data import Modality


def test_series_are_chosen_by_number_or_uid() -> None:
    assert parse_series(["T1CE=7", "t2= 1.2.3"]) == {Modality.T1CE: "7", Modality.T2: "1.2.3"}
    assert parse_series(None) == {}


@pytest.mark.parametrize("choices", [["t1"], ["t1="], ["ct=3"], ["=3"], ["t1=3", "t1=4"], ["t1=3", "t1ce=3"]])
def test_malformed_choice_of_series_is_refused(choices: list[str]) -> None:
    with pytest.raises(UsageFault, match="--series"):
        parse_series(choices)


def test_memory_limit_is_in_gibibytes() -> None:
    assert parse_max_ram(1.5) == 3 << 29
    assert parse_max_ram(None) is None


@pytest.mark.parametrize("gib", [0.0, -1.0, float("inf"), float("nan")])
def test_impossible_memory_limit_is_refused(gib: float) -> None:
    with pytest.raises(UsageFault, match="--max-ram"):
        parse_max_ram(gib)


def test_trusted_hashes_are_lower_case() -> None:
    assert parse_trust(["AB" * 32]) == ("ab" * 32,)
    assert parse_trust(None) == ()


def test_what_is_no_hash_cannot_be_trusted() -> None:
    with pytest.raises(UsageFault, match="64 hexadecimal digits"):
        parse_trust(["abc"])
