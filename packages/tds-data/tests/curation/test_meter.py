from tds_data.curation._meter import Meter, in_bytes


def test_rate_and_time_left_are_told() -> None:
    now = [0.0]
    told: list[tuple[int, int, str]] = []
    meter = Meter("a", done=0, total=100_000_000, progress=lambda *t: told.append(t), clock=lambda: now[0])
    for second in range(1, 21):
        now[0] = float(second)
        meter.add(1_000_000 if second <= 10 else 2_000_000)
    assert told[4] == (5_000_000, 100_000_000, "a: 5.0 MB of 100.0 MB, 1.0 MB/s, 1 min left")
    assert told[-1] == (30_000_000, 100_000_000, "a: 30.0 MB of 100.0 MB, 2.0 MB/s, 35 s left")


def test_many_small_steps_are_told_a_few_times_a_second() -> None:
    now = [0.0]
    told: list[int] = []
    meter = Meter("a", done=0, total=10_000, progress=lambda done, *_: told.append(done), clock=lambda: now[0])
    for _ in range(1000):
        now[0] += 0.001
        meter.add(10)
    assert len(told) <= 7
    assert told[-1] == 10_000


def test_unknown_total_has_no_time_left() -> None:
    now = [0.0]
    told: list[str] = []
    meter = Meter("a", done=0, total=0, progress=lambda _d, _t, what: told.append(what), clock=lambda: now[0])
    meter.add(500_000)
    now[0] = 1.0
    meter.add(500_000)
    assert told == ["a: 0.5 MB", "a: 1.0 MB, 1.0 MB/s"]


def test_long_times_are_told_in_hours() -> None:
    now = [0.0]
    told: list[str] = []
    meter = Meter("a", done=0, total=10**10, progress=lambda _d, _t, what: told.append(what), clock=lambda: now[0])
    now[0] = 1.0
    meter.add(10**6)
    assert told[-1].endswith("2 h 46 min left")
    assert in_bytes(10**10) == "10.00 GB"


def test_stalled_transfer_promises_nothing() -> None:
    now = [0.0]
    told: list[str] = []
    meter = Meter("a", done=5, total=10, progress=lambda _d, _t, what: told.append(what), clock=lambda: now[0])
    now[0] = 1.0
    meter.add(0)
    assert told == ["a: 0.0 MB of 0.0 MB, 0.0 MB/s"]
