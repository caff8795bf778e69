"""Textures scanned scenes; the same as `scenetex texture`.

python tools/texture_scene.py SCENE [SCENE ...] --images photos --output DIR
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.process.interrupt import as_process


def main() -> int:
    """Runs the command; its exit code."""
    from scenetex.cli.main import run_command

    return run_command("texture", sys.argv[1:], "texture_scene.py")


if __name__ == "__main__":
    sys.exit(as_process(main))
