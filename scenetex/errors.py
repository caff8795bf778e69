"""The error type that means "your input, not our bug", and its gentler kin."""

import pickle
import re
import struct
import zipfile
import zlib

# What libraries end in that read a damaged file, and check little of what they take from it: a size that is too large
# is a MemoryError, a flag that is set means a password or a method that nobody has.
DAMAGE = (
    *(OSError, ValueError, TypeError, RuntimeError, AttributeError, LookupError, ArithmeticError, AssertionError),
    *(EOFError, MemoryError, struct.error, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
)


class InputError(ValueError):
    """Bad input: one line that says what is wrong, where, and what to do.

    Command lines print the message and end with exit code 2; everything else is a bug and keeps its traceback.

    Example:
        >>> import scenetex
        >>> try:
        ...     scenetex.load_scene("nowhere")
        ... except scenetex.InputError as error:
        ...     print(error)
        nowhere: no such file or folder; give the scene's folder
    """


class OutsideError(InputError):
    """A name or symlink of a scene that leads out of its folder; refused even where the file is not needed."""


def plain(text: str) -> str:
    """Text in one line, as a terminal may show it: what moves the cursor, colours, breaks or turns lines is spelt out.

    Nothing happens to text that went through here before.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shown(text: str, longest: int = 200) -> str:
    """Text of a file as a message can print it: in its line, cut where it is long, with nothing a terminal obeys."""
    return plain(text[:longest])


def extra(name: str) -> str:
    """How to add what the package can do without; for a clone of it, as the quick start makes one."""
    return f'pip install -c constraints.txt -e ".[{name}]" in the folder that scenetex was cloned into'


def pasted(name: str) -> str:
    """A file's name as it may stand in a command that people paste; "FILE" for one that a shell could take for more."""
    return name if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}", name) else "FILE"


class InputWarning(UserWarning):
    """Input that will be worked on, though not as it may be meant: one line; command lines print it and go on.

    Example:
        >>> import warnings
        >>> import scenetex
        >>> warnings.simplefilter("error", scenetex.InputWarning)  # from here on such input is refused
    """
