"""Textures scanned scenes; the same as `scenetex texture`.

python tools/texture_scene.py SCENE [SCENE ...] --images photos --output DIR
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenetex.texture_command import main

if __name__ == "__main__":
    sys.exit(main(program="texture_scene.py"))
