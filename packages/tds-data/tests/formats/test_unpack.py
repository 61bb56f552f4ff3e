import gzip
import io
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data.formats._inflate import ENGINES, ZLIB, Container, Engine
from tds_data.formats._unpack import DamagedStream, TruncatedStream, unpack_into

NOISE = np.random.default_rng(0).integers(0, 40, 3000).astype(np.uint8).tobytes() + bytes(3000)
ALL = pytest.mark.parametrize("engines", [ENGINES, (ZLIB,)], ids=["fastest", "zlib"])
Engines = tuple[Engine, ...]


def unpack(data: bytes, size: int, container: Container = Container.GZIP, **options: object) -> tuple[int, bytes]:
    target = bytearray(size)
    found = unpack_into(memoryview(target), io.BytesIO(data), container, **options)
    return found, bytes(target)


def outcome(data: bytes, size: int, container: Container, skip: int, engines: Engines) -> object:
    try:
        found, target = unpack(data, size, container, skip=skip, engines=engines)
    except DamagedStream as error:
        return type(error)
    return found, target[:found]


@ALL
@pytest.mark.parametrize("container", Container)
def test_everything_comes_back_and_the_count_tells_of_more(engines: Engines, container: Container) -> None:
    data = zlib.compress(NOISE, 6, container)
    assert unpack(data, 6000, container, engines=engines) == (6000, NOISE)
    assert unpack(data, 5990, container, skip=10, engines=engines) == (5990, NOISE[10:])
    assert unpack(data, 100, container, skip=10, engines=engines) == (101, NOISE[10:110])
    assert unpack(data, 6003, container, engines=engines) == (6000, NOISE + bytes(3))
    assert unpack(data, 5, container, skip=7000, engines=engines) == (0, bytes(5))


@ALL
def test_members_follow_each_other_with_padding_between(engines: Engines) -> None:
    data = b"".join(gzip.compress(NOISE[n : n + 50]) + bytes(n % 3) for n in range(0, 6000, 50))
    assert unpack(data + bytes(70_000) + gzip.compress(b"more"), 6010, engines=engines)[0] == 6004
    assert unpack(data + b"tail", 6010, engines=engines)[0] == 6000
    assert unpack(data + b"\x1f", 6010, engines=engines)[0] == 6000


@ALL
def test_damage_behind_what_was_promised_is_not_looked_at(engines: Engines) -> None:
    data = gzip.compress(NOISE) + b"\x1f\x8b" + b"\xff" * 20
    assert unpack(data, 6000, engines=engines) == (6000, NOISE)
    with pytest.raises(DamagedStream):
        unpack(data, 6001, engines=engines)


@ALL
def test_what_follows_a_zlib_stream_is_left_alone(engines: Engines) -> None:
    assert unpack(zlib.compress(b"abc") + zlib.compress(b"d"), 9, Container.ZLIB, engines=engines)[0] == 3


@ALL
@pytest.mark.parametrize("container", Container)
def test_early_end_and_damage_are_told_apart(engines: Engines, container: Container) -> None:
    data = zlib.compress(NOISE, 6, container)
    for end in (0, 1, 5, 40, len(data) // 2, len(data) - 5, len(data) - 1):
        with pytest.raises(TruncatedStream):
            unpack(data[:end], 6000, container, engines=engines)
    for wrong in (data[:-3] + b"xyz", b"\x00\x00" + data[2:], data[:30] + b"\xff" * 30 + data[60:]):
        with pytest.raises(DamagedStream) as caught:
            unpack(wrong, 6000, container, engines=engines)
        assert type(caught.value) is DamagedStream


@ALL
def test_reserved_flags_are_damage(engines: Engines) -> None:
    data = gzip.compress(NOISE)
    with pytest.raises(DamagedStream):
        unpack(data[:3] + b"\xe0" + data[4:], 6000, engines=engines)


@ALL
def test_large_pieces_are_unpacked_in_steps(engines: Engines) -> None:
    size = 5 << 20
    assert unpack(gzip.compress(bytes(size), 9), size, engines=engines) == (size, bytes(size))


@settings(max_examples=400, deadline=None)
@given(
    container=st.sampled_from(Container),
    level=st.sampled_from([0, 1, 6, 9]),
    cut=st.integers(0, 6000),
    change=st.one_of(
        st.none(),
        st.tuples(st.just("flip"), st.integers(0, 4000), st.integers(1, 255)),
        st.tuples(st.just("header"), st.integers(0, 12), st.integers(0, 255)),
        st.tuples(st.just("end"), st.integers(0, 4000), st.just(0)),
    ),
    skip=st.sampled_from([0, 352]),
    promised=st.sampled_from([-100, 0, 1]),
)
def test_isal_and_zlib_agree_on_bytes_and_on_damage(
    *,
    container: Container,
    level: int,
    cut: int,
    change: tuple[str, int, int] | None,
    skip: int,
    promised: int,
) -> None:
    pytest.importorskip("isal")
    parts = [NOISE[:cut], NOISE[cut:]] if container is Container.GZIP else [NOISE]
    data = bytearray(b"".join(zlib.compress(part, level, container) for part in parts))
    if change is not None:
        kind, place, value = change
        place %= len(data)
        if kind == "end":
            del data[place:]
        else:
            data[place] = data[place] ^ value if kind == "flip" else value
    size = len(NOISE) - skip + promised
    results = [outcome(bytes(data), size, container, skip, engines) for engines in (ENGINES, (ZLIB,))]
    assert results[0] == results[1]


def test_without_the_extra_zlib_unpacks_alone() -> None:
    code = (
        "import sys; sys.modules['isal'] = None\n"
        "from tds_data.formats._inflate import ENGINES, ZLIB\n"
        "sys.exit(ENGINES != (ZLIB,))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # our own code


def test_with_the_extra_isal_comes_first() -> None:
    pytest.importorskip("isal")
    assert [engine.name for engine in ENGINES] == ["isal", "zlib"]
