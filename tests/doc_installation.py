"""`git clone` of the quick start, as its test has it: a copy of links, already installed, whose commands work little.

Runs as a program of its own: `doc_installation.py PATHS clone REPOSITORY FOLDER`, PATHS being those where this Python
finds its packages.
"""

import os
import subprocess
import sys
from pathlib import Path

_COMMAND = """#!{python}
import sys

from scenetex.__main__ import main

sys.argv += "--steps 1 --keyframes 3 --between 0 --image-size 64x48 --texture-size 64 --device cpu".split()
sys.exit(main())
"""
_LINKED = ("scenes", "tools", "scenetex", "docs", "Makefile", "pyproject.toml", "constraints.txt")


def install(repository: Path, folder: Path, paths: list[str]) -> None:
    """Makes `folder` look like `repository` after `make` has installed it, with an environment that finds `paths`."""
    folder.mkdir()
    for name in _LINKED:
        (folder / name).symlink_to(repository / name)
    environment = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "found.pth").write_text("\n".join([str(repository), *filter(os.path.isdir, paths)]) + "\n")
    command = environment / "bin" / "scenetex"
    command.write_text(_COMMAND.format(python=environment / "bin" / "python"))
    command.chmod(0o755)
    # Later than what `make` would install anew for.
    (environment / "ready").touch()


if __name__ == "__main__":
    found, verb, source, target = sys.argv[1:]
    assert verb == "clone"
    install(Path(source), Path(target).absolute(), found.split(os.pathsep))
