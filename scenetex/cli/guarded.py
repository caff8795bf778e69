"""How a command ends: one line for what went wrong, and an exit code."""

import logging
import sys
import warnings
from collections.abc import Callable

from ..errors import InputError, InputWarning
from ..process.console import say
from ..process.interrupt import INTERRUPTED, interruptible
from ..process.memory import is_out_of_memory, spare_address_space
from ..process.signals import terminable

DEBUG = "--debug"  # of every command
_log = logging.getLogger(__name__)


def guarded(program: str, work: Callable[[], int]) -> int:
    """Runs a command: `InputError` becomes one line on stderr and exit code 2; Ctrl-C, SIGTERM and SIGHUP exit codes
    130, 143 and 129; an `InputWarning` is one line, too. What led to an error is logged."""
    with terminable() as stopped:
        code = _in_lines(program, work)
    return stopped.code or code


def _in_lines(program: str, work: Callable[[], int]) -> int:
    """What a command says about its end, in lines; its exit code, as after Ctrl-C if it was told to end."""

    def show_in_a_line(message, category, *place) -> None:
        kind = "" if issubclass(category, InputWarning) else f" ({category.__name__})"
        say(f"{program}: {' '.join(str(message).split())}{kind}", error=True)

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files need not be text
            stream.reconfigure(errors="backslashreplace")
    spare_address_space()
    try:
        with interruptible(), warnings.catch_warnings():
            warnings.showwarning = show_in_a_line
            return work()
    except InputError as error:
        _log.debug("what led to the error:", exc_info=_with_causes(error))
        say(f"{program}: {' '.join(str(error).split())}", error=True)
        return 2
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        _log.debug("where memory ran out:", exc_info=_with_causes(error))
        why = " ".join(str(error).split()[:40])
        say(f"{program}: memory ran out{f' ({why})' if why else ''}; free some, or ask for less", error=True)
        return 2
    except KeyboardInterrupt:
        say(f"{program}: interrupted; nothing half-written was left", error=True)
        return INTERRUPTED


def _with_causes(error: Exception) -> Exception:
    """The error, whose traceback now shows what `raise ... from None` keeps out of it, all the way down."""
    inner, seen = error, set()
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        object.__setattr__(inner, "__suppress_context__", False)  # some are frozen dataclasses
        inner = inner.__cause__ or inner.__context__
    return error
