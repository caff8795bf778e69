"""The scenetex that is installed: where it is, and what it is asked for. Knows nothing of Blender."""

import os
import shutil
from pathlib import Path

from .errors import AddonError

_NONE = (
    "no scenetex found; give the path of the program, such as scenetex/.venv/bin/scenetex (Windows: "
    "scenetex\\.venv\\Scripts\\scenetex.exe), in the add-on's preferences"
)


def find_program(given: str) -> list[str]:
    """How to start scenetex, as a list of arguments.

    Args:
        given: path of the program, of the Python it is installed in, or of that environment's folder; "" = the one on
            the path.

    Raises:
        AddonError: there is no such program.
    """
    if not given.strip():
        found = shutil.which("scenetex")
        if found is None:
            raise AddonError(_NONE)
        return [found]
    path = Path(os.path.expanduser(given.strip()))
    if path.is_dir():
        names = ("bin/scenetex", "Scripts/scenetex.exe", ".venv/bin/scenetex", ".venv/Scripts/scenetex.exe")
        path = next((path / name for name in names if (path / name).is_file()), path)
    if not path.is_file():
        raise AddonError(f"{given}: no scenetex here; correct the path in the add-on's preferences")
    if not os.access(path, os.X_OK):
        raise AddonError(f"{given}: is no program; correct the path in the add-on's preferences")
    if path.stem.lower().startswith("python"):
        return [str(path), "-m", "scenetex"]
    return [str(path)]


def texture_arguments(settings, scan: Path, output: Path, image_size: str) -> list[str]:
    """The arguments behind the program's name: ``scenetex texture`` with what the panel says.

    Args:
        settings: as in `properties.Settings`.
        scan: folder of the scan, absolute.
        output: folder for results, absolute.
        image_size: "WIDTHxHEIGHT", or "" for scenetex's own.

    Raises:
        AddonError: something that has to be given is not.
    """
    prompt, regions, paint = settings.prompt.strip(), parts(settings.only), parts(settings.paint)
    generated = settings.images == "PROMPT"
    if generated and not prompt and not paint:
        raise AddonError("there is no prompt; say what the room is to look like, or paint from photos")
    words = ["texture", str(scan), "--output", str(output), "--texture-size", str(settings.texture_size)]
    if not generated:
        words += ["--images", "photos"]
    if prompt and (generated or settings.complete or regions or paint):
        words.append(f"--prompt={prompt}")
    if generated or settings.complete or regions or paint:
        words += [f"--model={settings.model.strip() or 'mini'}", "--seed", str(settings.seed)]
        words += ["--steps", str(settings.steps)] if settings.steps else []
        words += ["--image-size", image_size] if image_size else []
        words += ["--device", settings.device.strip() or "auto"]
    if settings.keyframes.strip() not in ("", "auto"):
        words.append(f"--keyframes={settings.keyframes.strip()}")
    words += ["--uvs", "keep"] if settings.keep_uvs and settings.source == "SCENE" else []
    words += ["--complete"] if settings.complete else []
    words += [f"--only={region}" for region in regions]
    words += [f"--paint={text}" for text in paint]
    return words


def parts(text: str) -> list[str]:
    """What stands between semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]
