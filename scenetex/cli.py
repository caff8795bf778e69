"""Command lines: options from dataclasses, one-line errors, exit codes."""

import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

from .console import say
from .errors import InputError, InputWarning
from .memory import is_out_of_memory, spare_address_space
from .options import check_options

COMMANDS = {
    "texture": "scenetex.texture_command",
    "train": "scenetex.train_command",
    "panorama": "scenetex.panorama_command",
    "evaluate": "scenetex.evaluate_command",
    "view": "scenetex.view_command",
}

# Colour codes, and the lines of boxes in Unicode or, where that cannot be printed, in dashes.
_ORNAMENTS = re.compile(r"\x1b\[[0-9;]*m|[\u2500-\u257f]+|-{4,}")

T = TypeVar("T")


def main(arguments: list[str] | None = None) -> int:
    """``scenetex COMMAND ...``; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        try:
            command = import_module(COMMANDS[arguments[0]])
        except ImportError as error:
            if not is_out_of_memory(error):
                raise
            say(f"scenetex {arguments[0]}: memory ran out while it was loading ({error}); free some", error=True)
            return 2
        return command.main(arguments[1:])
    listing = f"usage: scenetex {{{','.join(COMMANDS)}}} ...   (scenetex COMMAND --help tells more)"
    if arguments and arguments[0] in ("-h", "--help"):
        say(listing)
        return 0
    said = f"scenetex: unknown command '{arguments[0]}'; " if arguments else "scenetex: no command given; "
    say(said + listing, error=True)
    return 2


def parse(options: type[T], program: str, arguments: list[str] | None) -> T:
    """Options from the command line by tyro, whose boxed messages become one `InputError` line.

    Raises:
        InputError: an option that is unknown, missing or has an unusable value.
        SystemExit: after ``--help`` was printed.
    """
    import tyro

    said = io.StringIO()
    # Boxes must not wrap: their text becomes one line.
    width = os.environ.get("COLUMNS")
    try:
        if not {"-h", "--help"} & set(sys.argv[1:] if arguments is None else arguments):
            os.environ["COLUMNS"] = "1000"
        with contextlib.redirect_stderr(said):
            found = tyro.cli(options, prog=program, args=arguments)
        check_options(found)
        return found
    except SystemExit as stop:
        if not stop.code:
            raise
        lines = [_ORNAMENTS.sub(" ", line).strip() for line in said.getvalue().splitlines()[1:]]
        text = " ".join(line for line in lines if line).split("For full helptext")[0]
        text = re.sub(r"\s+", " ", text.split("Argument helptext")[0]).strip().rstrip(".")
        raise InputError(f"{text}; {program} --help lists the options") from None
    finally:
        if width is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = width


def guarded(program: str, work: Callable[[], int]) -> int:
    """Runs a command: `InputError` becomes one line on stderr and exit code 2, Ctrl-C exit code 130; an `InputWarning`
    is one line, too."""

    def show_in_a_line(message, category, *place) -> None:
        kind = "" if issubclass(category, InputWarning) else f" ({category.__name__})"
        say(f"{program}: {' '.join(str(message).split())}{kind}", error=True)

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files need not be text
            stream.reconfigure(errors="backslashreplace")
    spare_address_space()
    try:
        with warnings.catch_warnings():
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
        return 130
