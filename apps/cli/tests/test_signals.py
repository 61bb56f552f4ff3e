import os
import signal

import pytest

from tds_cli.errors import Stopped
from tds_cli.signals import stoppable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_becomes_an_exception_that_no_handler_of_errors_catches(number: signal.Signals) -> None:
    with pytest.raises(Stopped) as caught, stoppable():
        os.kill(os.getpid(), number)
    assert caught.value.signal_number == number
    assert not isinstance(caught.value, Exception)


def test_cleaning_up_is_not_disturbed_by_further_signals() -> None:
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(Stopped) as caught, stoppable():
        work()
    assert cleaned == [True]
    assert caught.value.signal_number == signal.SIGTERM


def test_handlers_are_what_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_signal_that_the_program_was_started_to_ignore_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
