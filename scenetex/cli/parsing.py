"""Options from dataclasses, read from command lines; what cannot be read is one line."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from itertools import takewhile
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

from ..errors import InputError, shown
from ..limits import allowed, check_device_is_here, check_options
from ..process.console import say
from .guarded import DEBUG

# Colour codes, and the lines of boxes in Unicode or, where that cannot be printed, in dashes.
_ORNAMENTS = re.compile(r"\x1b\[[0-9;]*m|[\u2500-\u257f]+|-{4,}")

T = TypeVar("T")


def parse(options: type[T], program: str, arguments: list[str] | None, description: str | None = None) -> T:
    """Options from the command line by tyro, whose boxed messages become one `InputError` line.

    Args:
        options: a dataclass, whose docstrings are the help, or a union of several, one for each subcommand.
        program: what the command is called.
        arguments: of it; None = those of the process.
        description: of a union, for the help.

    Raises:
        InputError: an option that is unknown, missing or has an unusable value.
        SystemExit: after ``--help`` was printed.
    """
    import tyro

    arguments = [word for word in (sys.argv[1:] if arguments is None else arguments) if word != DEBUG]
    said = io.StringIO()
    # Boxes must not wrap: their text becomes one line.
    width = os.environ.get("COLUMNS")
    try:
        if not {"-h", "--help"} & set(arguments):
            os.environ["COLUMNS"] = "1000"
        with contextlib.redirect_stderr(said):
            _leave_out_empty_defaults(options)
            config = (tyro.conf.DisallowNone,)  # what an option is without a value, nobody has to write
            found = tyro.cli(options, prog=program, args=arguments, description=description, config=config)
    except SystemExit as stop:
        if not stop.code:
            say(f"With {DEBUG}, every command says on stderr what it does, and after an error what led to it.")
            raise
        lines = [_ORNAMENTS.sub(" ", line).strip() for line in said.getvalue().splitlines()[1:]]
        text = " ".join(line for line in lines if line).split("For full helptext")[0]
        text = re.sub(r"\s+", " ", text.split("Argument helptext")[0]).strip().rstrip(".")
        raise InputError(f"{_in_our_words(text, options, arguments)}; {program} --help lists the options") from None
    finally:
        if width is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = width
    check_all(found)
    return found


def check_all(options) -> None:
    """Raises InputError for the first option that is out of range, does not go with the others, or asks for a device
    that is not here: all that can be said before any work."""
    check_options(options)
    if hasattr(options, "check"):
        options.check()
    # Of a cluster this machine may be the only one without a GPU.
    if hasattr(options, "device") and getattr(options, "ray", None) in (None, "local"):
        check_device_is_here(options.device, "--device")


def _in_our_words(text: str, options, arguments: Sequence[str]) -> str:
    """What tyro says of an option that it cannot read, as `check_value` would: the value, and what is allowed."""
    found = re.match(
        r"Error parsing (\S+):|invalid choice .* for argument '(\S+?)'|Missing value for argument '(\S+?)'", text
    )
    if not found:
        return text
    flag = next(filter(None, found.groups()))
    name = flag.removeprefix("--").replace("-", "_")
    kind = next((kind for kind in _dataclasses(options) if name in {field.name for field in fields(kind)}), None)
    if kind is None:
        return text
    hint = get_type_hints(kind, include_extras=True)[name]
    values = _values_of(flag, arguments)
    if found[3] or not values:
        return f"{flag} has no value; give {allowed(hint)}"
    said = shown(" ".join(values), 60)
    return f"{flag} '{said}' is not understood; choose {allowed(hint)}"


def _values_of(flag: str, arguments: Sequence[str]) -> list[str]:
    """What stands behind an option on the command line; of one without dashes, the first argument."""
    if not flag.startswith("--"):
        return list(arguments[:1])
    at = max((i for i, word in enumerate(arguments) if word.replace("_", "-").partition("=")[0] == flag), default=None)
    if at is None:
        return []
    _, equals, value = arguments[at].partition("=")
    if equals:
        return [value]
    return list(takewhile(lambda word: not word.startswith("--"), arguments[at + 1 :]))


def _leave_out_empty_defaults(options) -> None:
    """Keeps "(default: None)" and "(default: )" out of the help of options that are nothing unless they are given."""
    import tyro

    silent = tyro.conf.arg(help_behavior_hint="")
    for kind in _dataclasses(options):
        for base in filter(is_dataclass, kind.__mro__):
            for name in {field.name for field in fields(base) if _is_empty(field)} & set(base.__annotations__):
                if silent not in get_args(base.__annotations__[name]):
                    base.__annotations__[name] = Annotated[base.__annotations__[name], silent]


def _is_empty(field: Field) -> bool:
    """Whether an option is nothing by default: None, or no value of as many as one likes."""
    if field.default is MISSING:
        return get_origin(field.type) is Annotated and Ellipsis in get_args(get_args(field.type)[0])
    return field.default is None or field.default == ()


def _dataclasses(options) -> Iterator[type]:
    """A dataclass, or those that a union of annotated ones holds."""
    if is_dataclass(options):
        yield options
    else:
        for part in get_args(options):
            if isinstance(part, type) or get_args(part):
                yield from _dataclasses(part)
