"""Single files that later runs write over carry a hash of all else in them: one that was edited since, or that somebody
else put there, is told from ours."""

import hashlib
import struct
import zlib
from contextlib import suppress
from itertools import count
from pathlib import Path

from .reading import read_bytes

_MOST = 1 << 30  # bytes; a page of links, or a picture of a curve, is far from it
_PNG_END = 12  # bytes of a PNG's last chunk, before which ours stands
_PNG = b"\x89PNG\r\n\x1a\n"


def seal(data: bytes) -> bytes:
    """An HTML page, or a PNG, with its seal: a comment at the end, a text chunk before the end."""
    at = _place(data)
    return data[:at] + _mark(data) + data[at:]


def is_sealed(path: Path) -> bool:
    """Whether a file is, byte for byte, what `seal` returned; a link to one is somebody's."""
    data = b""
    with suppress(OSError):
        data = b"" if path.is_symlink() else read_bytes(path, _MOST)
    size = len(_mark(data))
    at = _place(data) - size
    plain = data[:at] + data[at + size :]
    return at > 0 and data == seal(plain)


def set_aside(path: Path) -> Path | None:
    """Gives a file that is not as we sealed it another name, which is returned; None if it is ours, or not there."""
    if not (path.is_symlink() or path.is_file()) or is_sealed(path):
        return None
    names = (path.with_name(f"{path.stem}.kept-{i}{path.suffix}") for i in count(1))
    free = next(name for name in names if not (name.is_symlink() or name.exists()))
    path.rename(free)
    return free


def _place(data: bytes) -> int:
    return len(data) - (_PNG_END if data.startswith(_PNG) else 0)


def _mark(data: bytes) -> bytes:
    """As long for any contents of one kind."""
    digest = hashlib.blake2b(data, digest_size=16).hexdigest().encode()
    if not data.startswith(_PNG):
        return b"<!-- scenetex: " + digest + b" -->\n"
    chunk = b"tEXtscenetex\0" + digest
    return struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
