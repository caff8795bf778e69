"""KTX2 by Khronos's `ktx`, or by `toktx`, its forerunner: programs that are run where they are on the path."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import InputError, shown
from ..files.reading import read_bytes

_MAGIC = b"\xabKTX 20\xbb\r\n\x1a\n"
_PATIENCE = 7200  # seconds for a page; one of 16,384 texels takes half an hour on two cores
_MOST_BYTES = 1 << 31
_WHERE = "get it from github.com/KhronosGroup/KTX-Software/releases, or choose another texture format"
# UASTC and not ETC1S, which is a quarter as large: of that, walls have blocks that can be seen.
_KTX = ("create", "--format", "R8G8B8_SRGB", "--generate-mipmap", "--encode", "uastc", "--zstd", "18")
_TOKTX = ("--t2", "--target_type", "RGB", "--assign_oetf", "srgb", "--genmipmap", "--encode", "uastc", "--zcmp", "18")


def check_ktx(size: int | None = None, said: str = "texture_format ktx2") -> None:
    """Raises InputError where the program is not there, or for textures that cannot be such; `said` is how it was asked
    for."""
    if _program() is None:
        raise InputError(f"{said} needs Khronos's program ktx, which is not on the path; {_WHERE}")
    if size is not None and size % 4:
        raise InputError(f"{said} needs a texture size that is a multiple of 4, not {size}")


def encode_ktx2(png: bytes) -> bytes:
    """A PNG in sRGB as KTX2, with all its smaller levels, as `KHR_texture_basisu` wants them.

    Raises:
        InputError: there is no such program, it fails, or it is another program of that name.
    """
    check_ktx()
    program = Path(str(_program()))
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, target = Path(folder) / "page.png", Path(folder) / "page.ktx2"
        source.write_bytes(png)
        files = [source, target] if program.stem == "ktx" else [target, source]
        command = [program, *(_KTX if program.stem == "ktx" else _TOKTX), *files]
        try:
            run = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"{program} takes more than {_PATIENCE // 3600} hours for a page; {_WHERE}") from None
        except OSError as error:
            raise InputError(f"{program} cannot be run ({error.strerror or error}); {_WHERE}") from None
        made = read_bytes(target, _MOST_BYTES) if target.is_file() else b""
        if run.returncode or not made.startswith(_MAGIC):
            said = shown(" ".join(run.stderr.decode(errors="replace").split()[-40:])) or f"exit code {run.returncode}"
            raise InputError(f"{program} makes no KTX2 ({said}): is it Khronos's? If not, {_WHERE}")
    return made


def _program() -> str | None:
    return shutil.which("ktx") or shutil.which("toktx")
