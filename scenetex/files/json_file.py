"""JSON that others wrote: of bounded size and depth, each key once, its numbers finite."""

import json
import math
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from .reading import read_bytes

_MOST_BYTES = 1 << 28
_DEEPEST = 64
_LONGEST_NUMBER = 300  # characters; what is longer fits into no float


def read_json(path: str | Path, finite: bool = True, most: int = _MOST_BYTES):
    """What a JSON file holds, see `parse_json`. Raises OSError, too, if it cannot be read or is larger than `most`."""
    return parse_json(read_bytes(path, most), finite)


def read_object(path: str | Path, finite: bool = True) -> dict:
    """As `read_json`; raises ValueError, too, if it holds no object."""
    found = read_json(path, finite)
    if not isinstance(found, dict):
        raise ValueError("holds no JSON object")
    return found


def read_named(path: Path, cure: str, unreadable: str | None = None, read: Callable = read_object, finite: bool = True):
    """What `read` gives of a JSON file, by default an object; InputError, one line with its name, for anything else.

    Args:
        path: the file.
        cure: what to do about contents that are none.
        unreadable: what to do where it cannot be read at all; default: the same.
        read: `read_object` or `read_json`.
        finite: of `parse_json`.
    """
    try:
        return read(path, finite)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); {unreadable or cure}") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; {cure}") from None


def parse_json(text: bytes | str, finite: bool = True):
    """What a text in JSON says: dicts, lists, strings, numbers that fit into a float, booleans and None.

    Args:
        text: bytes in UTF-8, 16 or 32, or a string.
        finite: whether NaN, Infinity and what is too large for a float are refused, or pass as NaN and infinity.

    Raises:
        ValueError: no JSON, or JSON that is nested too deeply, has a key twice or a number out of range; says so in
            words that follow the name of the file.
    """
    numbers = {"parse_float": _finite, "parse_constant": _finite} if finite else {}
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_int=_whole, **numbers)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg.lower()} in line {error.lineno})") from None
    except UnicodeDecodeError:
        raise ValueError("is not JSON (no text in UTF-8)") from None
    except RecursionError:
        raise ValueError("is JSON nested too deeply") from None
    _check_depth(found)
    return found


def _once(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"holds {twice[:40]!a} twice in one JSON object")
    return found


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"holds a number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"holds {text[:40]}, which is no finite number")
    return value


def _check_depth(found) -> None:
    level, depth = [found], 0
    while level := [
        item
        for part in level
        if isinstance(part, dict | list)
        for item in (part.values() if isinstance(part, dict) else part)
        if isinstance(item, dict | list)
    ]:
        depth += 1
        if depth >= _DEEPEST:
            raise ValueError("is JSON nested too deeply")
