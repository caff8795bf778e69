"""Khronos's glTF validator, where it is there."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from node_package import find_package

_SCRIPT = (
    "const [, validator, file] = process.argv;"
    "require(validator).validateBytes(new Uint8Array(require('fs').readFileSync(file)))"
    ".then(report => console.log(JSON.stringify(report)));"
)


def issues_of(path: Path) -> list[dict]:
    """All that the validator has to say of a file. The test is skipped, visibly, where there is none."""
    folder = find_package("gltf-validator", "GLTF_VALIDATOR")
    if folder is None or not shutil.which("node"):
        pytest.skip("needs node and npm: run `make validator`")
    run = subprocess.run(["node", "-e", _SCRIPT, folder, path], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["issues"]["messages"]
