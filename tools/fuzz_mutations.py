"""Mutations of files: bytes, numbers in binary and in text, lines, JSON trees and PNG chunks, all from one seed."""

import json
import re
import struct
import zlib
from collections.abc import Sequence
from random import Random

_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# What readers have stumbled over: signs, sizes beyond the file, what is no number though it looks like one.
_TEXTS = (
    *(b"-1", b"0", b"1", b"2", b"3", b"255", b"256", b"65536", b"2147483647", b"2147483648", b"4294967295"),
    *(b"1000000000000", b"9223372036854775808", b"18446744073709551615", b"9" * 40, b"9" * 5000, b"-9999999999"),
    *(b"nan", b"-inf", b"inf", b"1e308", b"1e400", b"-1e-320", b"5e-324", b"0x10", b"1_0", b"1.5", b"", b".", b"-"),
    *(b"\0", b"\xff", b"\xc2\xb2", b"\x1b[31m", b"\r", b"\x85", b"../..", b"a" * 300),
)
_LEAVES = (
    *(None, True, -1, 0, 1, 0.5, 2**31, 2**63, 10**12, 10**400, 5e-324, 1e308, float("inf"), float("nan")),
    *("", "x", "\0", "\ud800", "a\nb", "a" * 300, "../x", "/dev/zero", [], {}, [[]], [0] * 16),
)
_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def mutate(data: bytes, rng: Random, words: Sequence[bytes] = (), kind: str = "bytes") -> bytes:
    """A mutation of a file, or several on top of each other.

    Args:
        data: a file, best a valid one.
        rng: where all choices come from.
        words: what means something to the reader.
        kind: "json", "glb" or "png" for files whose structure is mutated, too; else "bytes".
    """
    structure = {"json": _json_file, "glb": _glb_file, "png": _png_file}.get(kind)
    if structure is not None and rng.random() < 0.6:
        data = structure(data, rng)
        if rng.random() < 0.7:
            return data
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        data = rng.choice(_MUTATIONS)(data, rng, words)
    return data


def _bytes(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    out = bytearray(data)
    if out:
        out[rng.randrange(len(out))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, 10, 32, 45, rng.randrange(256)))
    return bytes(out)


def _bit(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    out = bytearray(data)
    if out:
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _binary_number(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    width = rng.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    at, top = rng.randrange(len(data) - width + 1), 256**width - 1
    # Headers come first, and that is where the counts are.
    at = min(at, rng.randrange(len(data) - width + 1)) if rng.random() < 0.5 else at
    near = len(data) + rng.randint(-16, 16)
    value = rng.choice((0, 1, top, top // 2, top // 2 + 1, near, near // 2, rng.randint(0, top)))
    packed = struct.pack(rng.choice("<>") + _WIDTHS[width], max(0, min(value, top)))
    return data[:at] + packed + data[at + width :]


def _text_number(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data[: 1 << 16]))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(_TEXTS) + data[match.end() :]


def _piece(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """A piece goes, is doubled, or moves."""
    if not data:
        return data
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((1, 2, 4, 16, 64, 256)))
    piece, rest = data[start:end], data[:start] + data[end:]
    where = rng.choice((None, start, rng.randint(0, len(rest))))
    if where is None:
        return rest
    return rest[:where] + piece * rng.choice((1, 2, 2, 9)) + rest[where:]


def _cut(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _insert(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    piece = rng.choice(words) if words and rng.random() < 0.7 else rng.choice((rng.randbytes(4), rng.choice(_TEXTS)))
    return data[:at] + piece + data[at + rng.choice((0, len(piece))) :]


def _word(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    """A word that is there becomes another one."""
    there = [word for word in words if word in data]
    if not there:
        return data
    old = rng.choice(there)
    parts = data.split(old)
    k = rng.randint(1, len(parts) - 1)
    return old.join(parts[:k]) + rng.choice(words) + old.join(parts[k:])


def _lines(data: bytes, rng: Random, words: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    choice = rng.randrange(3)
    if choice == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif choice == 1:
        lines.insert(j, lines[i])
    else:
        del lines[i]
    return b"\n".join(lines)


_MUTATIONS = (
    *(_bytes, _bit, _binary_number, _binary_number, _text_number, _text_number),
    *(_piece, _cut, _insert, _word, _lines),
)


def _json_file(data: bytes, rng: Random) -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(rng.choice((1, 1, 2, 4))):
        tree = _edited(tree, rng)
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):  # a number of thousands of digits
        return data


def _edited(tree, rng: Random):
    """The tree with one place in it deleted, doubled, or made something else."""
    node, parent, key = tree, None, None
    while isinstance(node, dict | list) and node and (parent is None or rng.random() < 0.85):
        parent, key = node, rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = parent[key]
    new = _leaf(rng, node)
    if parent is None:
        return new if rng.random() < 0.05 else tree
    choice = rng.random()
    if choice < 0.2:
        del parent[key]
    elif choice < 0.3 and isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), node)
    else:
        parent[key] = new
    return tree


def _leaf(rng: Random, old):
    choice = rng.random()
    if choice < 0.3 and isinstance(old, int | float) and not isinstance(old, bool):
        return rng.choice((old + 1, old - 1, -old, old * 2, old * 1000))
    if choice < 0.36:
        nested = rng.choice(([], {}))
        for _ in range(rng.choice((3, 70, 500, 900))):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return rng.choice(_LEAVES)


def _glb_file(data: bytes, rng: Random) -> bytes:
    """A GLB whose JSON is mutated, with lengths that are right again."""
    if len(data) < 20:
        return data
    (length,) = struct.unpack_from("<I", data, 12)
    text = _json_file(data[20 : 20 + length], rng)
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest


def _png_file(data: bytes, rng: Random) -> bytes:
    """A PNG with one chunk mutated and its check sum right again; of other files, 16-bit numbers of the header."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        at = rng.randrange(max(1, min(len(data), 700)))
        return data[:at] + struct.pack(">H", rng.choice((0, 1, 9000, 65535, rng.randrange(65536)))) + data[at + 2 :]
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return data
    i = rng.randrange(len(chunks))
    name, body = chunks[i]
    if name == b"IDAT" and rng.random() < 0.5:
        try:
            body = zlib.compress(mutate(zlib.decompressobj().decompress(body, 1 << 20), rng))
        except zlib.error:
            pass
    else:
        body = rng.choice((_bytes, _bit, _binary_number, _cut))(body, rng, ())
    chunks[i] = name, body
    if rng.random() < 0.1:
        chunks.insert(rng.randrange(len(chunks) + 1), rng.choice(chunks))
    out = data[:8]
    for name, body in chunks:
        out += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return out
