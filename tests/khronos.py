"""Khronos's glTF validator, where it is there."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

_SCRIPT = (
    "const [, validator, file] = process.argv;"
    "require(validator).validateBytes(new Uint8Array(require('fs').readFileSync(file)))"
    ".then(report => console.log(JSON.stringify(report)));"
)


def issues_of(path: Path) -> list[dict]:
    """All that the validator has to say of a file. The test is skipped, visibly, where there is none."""
    folder = _folder()
    if folder is None:
        pytest.skip("needs node and npm: run `make validator`")
    run = subprocess.run(["node", "-e", _SCRIPT, folder, path], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["issues"]["messages"]


@cache
def _folder() -> str | None:
    """The npm package `gltf-validator`: $GLTF_VALIDATOR, what `make validator` installed, or a global one."""
    places = [os.environ.get("GLTF_VALIDATOR"), Path(sys.prefix) / "node_modules" / "gltf-validator"]
    if npm := shutil.which("npm"):
        root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
        places.append(Path(root) / "gltf-validator")
    for place in places:
        if place and (Path(place) / "package.json").is_file() and shutil.which("node"):
            return str(Path(place).resolve())
    return None
