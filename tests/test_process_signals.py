"""Signals that end a run: as Ctrl-C does, once, and later where that is better."""

import os
import signal

import pytest

from scenetex.process.signals import deferred, terminable


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_one_interrupts_and_others_do_not_disturb_the_tidying_up(number, code):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), terminable() as stopped:
        try:
            send(number)
        finally:
            for again in (signal.SIGTERM, signal.SIGHUP):
                send(again)
    assert stopped.code == code and signal.getsignal(number) is before


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable() as stopped, deferred() as asked:
            send(signal.SIGHUP)
        assert stopped.code is None and asked.signal is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, None), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_deferred_it_is_obeyed_when_that_is_asked_for(number, code):
    done = []
    with pytest.raises(KeyboardInterrupt), terminable() as stopped, deferred() as asked:
        send(number)
        done.append(asked.signal)
        asked.obey()
    assert done == [number] and stopped.code == code


def test_a_second_one_ends_at_once():
    with pytest.raises(KeyboardInterrupt), terminable() as stopped, deferred():
        send(signal.SIGTERM)
        send(signal.SIGINT)
        pytest.fail("must have ended")
    assert stopped.code == 143
