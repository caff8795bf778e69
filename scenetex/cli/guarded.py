"""How a command ends: one line for what went wrong, and an exit code."""

import sys
import warnings
from collections.abc import Callable

from ..errors import InputError, InputWarning
from ..process.console import say
from ..process.interrupt import INTERRUPTED, interruptible
from ..process.memory import is_out_of_memory, spare_address_space
from ..process.signals import terminable


def guarded(program: str, work: Callable[[], int]) -> int:
    """Runs a command: `InputError` becomes one line on stderr and exit code 2; Ctrl-C, SIGTERM and SIGHUP exit codes
    130, 143 and 129; an `InputWarning` is one line, too."""
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
        say(f"{program}: {' '.join(str(error).split())}", error=True)
        return 2
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        why = " ".join(str(error).split()[:40])
        say(f"{program}: memory ran out{f' ({why})' if why else ''}; free some, or ask for less", error=True)
        return 2
    except KeyboardInterrupt:
        say(f"{program}: interrupted; nothing half-written was left", error=True)
        return INTERRUPTED
