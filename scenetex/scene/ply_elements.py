"""The elements of a PLY file: what its header announces, and its ascii or binary body of either byte order as columns.

Every count a header announces is held against the bytes that are there before anything is allocated.
"""

import re
import warnings
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError, InputWarning, shown

LARGEST_HEADER = 1 << 20
_LARGEST_ROW = 1 << 30  # bytes; NumPy's types end at twice that
_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8"},
    **{f"int{8 * n}": f"i{n}" for n in (1, 2, 4, 8)},
    **{f"uint{8 * n}": f"u{n}" for n in (1, 2, 4, 8)},
    **{f"float{8 * n}": f"f{n}" for n in (4, 8)},
}


@dataclass(frozen=True)
class _Property:
    name: str
    dtype: str
    count_dtype: str | None = None  # of a list's length, None for a plain number


@dataclass(frozen=True)
class Element:
    name: str
    count: int
    properties: list[_Property]


class _Ragged(Exception):
    """Rows whose lists differ in length."""


def parse_header(data: bytes, path: Path) -> tuple[str | None, list[Element], int]:
    """Byte order ("<", ">" or None for ascii), elements, and where the body starts."""
    # Lines end as in Unix, in Windows, or, in files as old as the format, with a carriage return alone.
    end = re.search(rb"[\r\n]end_header[ \t]*" + (rb"\r?\n?" if b"\n" in data[:9] else rb"\r"), data[:LARGEST_HEADER])
    if not re.match(rb"(\xef\xbb\xbf)?ply\s", data) or not end:
        raise InputError(f"{path}: not a PLY file, or cut within its header; export the mesh again")
    order, elements = "", []
    try:
        # Not `splitlines`, which would end a comment at a byte within one of its letters.
        for line in re.split(r"[\r\n]+", data[: end.start()].decode("latin-1"))[1:]:
            words = line.split()
            if words[:1] == ["format"]:
                if words[2:3] not in ([], ["1.0"]):
                    raise ValueError
                order = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}[words[1]]
            elif words[:1] == ["element"]:
                elements.append(Element(words[1], int(words[2]), []))
                if not 0 <= elements[-1].count < 1 << 63:
                    raise ValueError
            elif words[:2] == ["property", "list"]:
                count, item, name = words[2:5]
                if _TYPES[count][0] == "f":
                    raise ValueError
                elements[-1].properties.append(_Property(name, _TYPES[item], _TYPES[count]))
            elif words[:1] == ["property"]:
                elements[-1].properties.append(_Property(words[2], _TYPES[words[1]]))
    except (KeyError, IndexError, ValueError):
        raise InputError(f"{path}: PLY header has a line that makes no sense: {line[:60]!r}; export it again") from None
    names = [[element.name for element in elements], *([p.name for p in element.properties] for element in elements)]
    if order == "" or any(len(set(within)) < len(within) for within in names):
        raise InputError(
            f"{path}: PLY header lacks its format or repeats a property or an element; export the mesh again"
        )
    return order, elements, end.end()


def parse_numbers(text: bytes) -> np.ndarray:
    """All numbers of a text, white space between them: (n,) float64. Raises `ValueError` for anything else."""
    text = text.strip()
    if not text:  # NumPy would make one number of it
        return np.zeros(0)
    with warnings.catch_warnings():
        # Older NumPy only warns where a number cannot be read, and hands back those before it.
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, np.float64, sep=" ")
        except DeprecationWarning as warning:
            raise ValueError(str(warning)) from None


def read_elements(data: bytes, path: Path) -> Iterator[tuple[str, dict]]:
    """Name and columns of every element that has rows, in the file's order: an array (rows,) for a plain property,
    (counts, items) for a list.

    Raises:
        InputError: not a PLY file, or one whose data does not hold what its header announces.
    """
    order, elements, start = parse_header(data, path)
    body = _Ascii(data[start:], path) if order is None else _Binary(data, start, order, path)
    for element in elements:
        columns = body.read(element)
        if element.count:
            yield element.name, columns
    if left := body.left():
        said = f"holds more than its header announces ({left}), which is left out"
        warnings.warn(f"{path}: {said}; if parts are missing, export the mesh again", InputWarning, stacklevel=2)


class _Binary:
    """Elements of a binary body, one after the other. A list column is (counts, items)."""

    def __init__(self, data: bytes, at: int, order: str, path: Path):
        self._data, self._at, self._order, self._path = data, at, order, path

    def left(self) -> str:
        """What stands behind the last element; nothing where that is white space or padding."""
        rest = len(self._data) - self._at
        return f"{rest} bytes" if self._data[self._at :].strip(b"\0 \t\r\n") else ""

    def read(self, element: Element) -> dict:
        types = [(np.dtype(self._order + p.dtype), p.count_dtype) for p in element.properties]
        least = sum(np.dtype(count).itemsize if count else item.itemsize for item, count in types)
        left = len(self._data) - self._at
        if element.count * least > left:
            raise _cut(self._path, element)
        if not element.count or not least:
            return {p.name: np.zeros(0) for p in element.properties if not p.count_dtype}
        try:
            return self._even_rows(element, left)
        except _Ragged:
            return self._ragged_rows(element)

    def _even_rows(self, element: Element, left: int) -> dict:
        """All rows at once, if their lists are as long as the first row's."""
        fields, at = [], self._at
        for p in element.properties:
            item = np.dtype(self._order + p.dtype)
            if p.count_dtype:
                count = np.dtype(self._order + p.count_dtype)
                if at + count.itemsize > len(self._data):
                    raise _Ragged
                length = int(np.frombuffer(self._data, count, 1, at)[0])
                if not 0 <= length * item.itemsize <= min(left, _LARGEST_ROW):
                    raise _Ragged
                fields += [(f"n {p.name}", count), (p.name, item, (length,))]
                at += count.itemsize + length * item.itemsize
            else:
                fields.append((p.name, item))
                at += item.itemsize
        if (at - self._at) * element.count > left or at - self._at > _LARGEST_ROW:
            raise _Ragged
        rows = np.frombuffer(self._data, np.dtype(fields), element.count, self._at)
        columns = {}
        for p in element.properties:
            if p.count_dtype:
                counts = rows[f"n {p.name}"]
                if (counts != counts[0]).any():
                    raise _Ragged
                columns[p.name] = counts, rows[p.name].reshape(-1)
            else:
                columns[p.name] = rows[p.name]
        self._at += rows.dtype.itemsize * element.count
        return columns

    def _ragged_rows(self, element: Element) -> dict:
        # Arrays, not lists: a row may be of one byte, and an int object takes 32.
        starts = {p.name: array("q") for p in element.properties}
        counts = {p.name: array("q") for p in element.properties if p.count_dtype}
        sizes = [np.dtype(p.dtype).itemsize for p in element.properties]
        count_types = [p.count_dtype and np.dtype(self._order + p.count_dtype) for p in element.properties]
        at, end = self._at, len(self._data)
        byteorder = "little" if self._order == "<" else "big"
        for _ in range(element.count):
            for p, size, count in zip(element.properties, sizes, count_types, strict=True):
                length = 1
                if count is not None:
                    length = int.from_bytes(self._data[at : at + count.itemsize], byteorder, signed=count.kind == "i")
                    at += count.itemsize
                if not 0 <= length * size <= end - at:
                    raise _cut(self._path, element)
                if count is not None:
                    counts[p.name].append(length)
                starts[p.name].append(at)
                at += length * size
        self._at = at
        columns = {}
        raw = np.frombuffer(self._data, np.uint8)
        for p, size in zip(element.properties, sizes, strict=True):
            start = np.frombuffer(starts[p.name], np.int64)
            lengths = np.frombuffer(counts[p.name], np.int64) if p.count_dtype else np.ones(len(start), np.int64)
            items = _run_positions(start, lengths, size)
            values = raw[items[:, None] + np.arange(size)].view(self._order + p.dtype)[:, 0]
            columns[p.name] = (lengths, values) if p.count_dtype else values
        return columns


class _Ascii:
    """Elements of an ascii body, like `_Binary`."""

    def __init__(self, body: bytes, path: Path):
        self._path, self._at = path, 0
        try:
            self._numbers = parse_numbers(body)
        except ValueError:
            raise InputError(f"{path}: PLY body holds something that is not a number; export the mesh again") from None

    def left(self) -> str:
        rest = len(self._numbers) - self._at
        return f"{rest} numbers" if rest else ""

    def read(self, element: Element) -> dict:
        numbers = self._numbers[self._at :]
        if element.count * len(element.properties) > len(numbers):
            raise _cut(self._path, element)
        if not element.count or not element.properties:
            return {p.name: np.zeros(0) for p in element.properties if not p.count_dtype}
        try:
            return self._even_rows(element, numbers)
        except _Ragged:
            return self._ragged_rows(element, numbers)

    def _even_rows(self, element: Element, numbers: np.ndarray) -> dict:
        at, spans = 0, []
        for p in element.properties:
            length = numbers[at] if p.count_dtype and at < len(numbers) else 1
            if not 0 <= length <= len(numbers):
                raise _Ragged
            at += bool(p.count_dtype)
            spans.append((at, at + int(length)))
            at += int(length)
        if at * element.count > len(numbers):
            raise _Ragged
        rows = numbers[: at * element.count].reshape(element.count, at)
        columns = {}
        for p, (start, end) in zip(element.properties, spans, strict=True):
            if p.count_dtype:
                counts = rows[:, start - 1]
                if (counts != counts[0]).any():
                    raise _Ragged
                columns[p.name] = counts, _typed(rows[:, start:end].reshape(-1), p, self._path)
            else:
                columns[p.name] = _typed(rows[:, start], p, self._path)
        self._at += rows.size
        return columns

    def _ragged_rows(self, element: Element, numbers: np.ndarray) -> dict:
        starts = {p.name: array("q") for p in element.properties}
        counts = {p.name: array("q") for p in element.properties}
        at = 0
        for _ in range(element.count):
            for p in element.properties:
                length = 1
                if p.count_dtype:
                    length = numbers[at] if at < len(numbers) else -1
                    at += 1
                if not 0 <= length <= len(numbers) - at:
                    raise _cut(self._path, element)
                counts[p.name].append(int(length))
                starts[p.name].append(at)
                at += int(length)
        self._at += at
        columns = {}
        for p in element.properties:
            start, lengths = np.frombuffer(starts[p.name], np.int64), np.frombuffer(counts[p.name], np.int64)
            column = _typed(numbers[_run_positions(start, lengths, 1)], p, self._path)
            columns[p.name] = (lengths, column) if p.count_dtype else column
        return columns


def _run_positions(start: np.ndarray, lengths: np.ndarray, step: int) -> np.ndarray:
    """Positions start, start + step, ... of runs one after the other; `start` and `lengths` (n,) int64."""
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(start, lengths) + within * step


def _typed(numbers: np.ndarray, p: _Property, path: Path) -> np.ndarray:
    """Ascii numbers as their property's type; "1e30" or "nan" in an integer column is an error."""
    if p.dtype[0] == "f":
        return numbers
    if not (np.abs(numbers) < 2**53).all() or (numbers != np.rint(numbers)).any():
        name = shown(p.name)
        raise InputError(f"{path}: PLY property {name} holds something that is not a whole number; export it again")
    # Colours of 16 bits are told by their type; what is beyond its type, such as a corner of a large mesh, is kept.
    limits = np.iinfo(p.dtype)
    fits = numbers.min(initial=0) >= limits.min and numbers.max(initial=0) <= limits.max
    return numbers.astype(p.dtype if fits else np.int64)


def _cut(path: Path, element: Element) -> InputError:
    name = shown(element.name)
    return InputError(f"{path}: the file ends before its {element.count} {name} rows do; export the mesh again")
