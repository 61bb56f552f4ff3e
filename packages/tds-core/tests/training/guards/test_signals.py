import os
import signal
import threading

import pytest

from tds_core.training.distributed import World
from tds_core.training.guards import StopRequest


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C"), (signal.SIGUSR1, "SIGUSR1")]
)
def test_signal_asks_for_an_end_and_says_why(number: signal.Signals, name: str) -> None:
    with StopRequest() as stop:
        assert stop.reason == stop.signal_name == ""
        os.kill(os.getpid(), number)
        assert stop.requested
        assert stop.signal_name == number.name
        assert name in stop.reason


def test_second_interrupt_ends_at_once() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_second_sigterm_changes_nothing() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert "SIGUSR1" in stop.reason
        assert stop.signal_name == "SIGUSR1"


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    with pytest.raises(ZeroDivisionError), StopRequest():
        _ = 1 / 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)] == before


def test_other_threads_hear_nothing_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def listen() -> None:
        with StopRequest() as stop:
            seen.append(signal.getsignal(signal.SIGTERM))
            stop.request("told by the program")
            seen.append(stop.reason)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before, "told by the program"]
    assert "stop_signals_unheard" in caplog.text


def test_request_from_elsewhere_is_heard_in_every_process() -> None:
    class Others(World):
        def any(self, flag: bool, /) -> bool:  # noqa: FBT001  # as it is there
            assert not flag
            return True

    stop = StopRequest()
    assert stop.agreed(Others())
    assert "another process" in stop.reason


def test_nothing_is_agreed_on_without_a_request() -> None:
    stop = StopRequest()
    assert not stop.agreed(World())
    stop.request("first")
    stop.request("second")
    assert stop.agreed(World())
    assert stop.reason == "first"
