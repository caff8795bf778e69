"""Packages of npm that tests use where they are there."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path


@cache
def find_package(name: str, variable: str) -> Path | None:
    """The folder of a package: what the variable of the environment names, what `make` installed, or a global one."""
    places = [os.environ.get(variable), Path(sys.prefix) / "node_modules" / name]
    if npm := shutil.which("npm"):
        root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
        places.append(Path(root) / name)
    found = (Path(place).resolve() for place in places if place)
    return next((place for place in found if (place / "package.json").is_file()), None)
