"""``scenetex COMMAND ...``: which command is run."""

import sys
from importlib import import_module

from ..process.console import debugging, say
from ..process.interrupt import as_process
from ..process.memory import is_out_of_memory
from ..process.threads import asked_for, limited
from ..version import __version__
from .guarded import DEBUG

# What each does; `NAME.py` beside this file holds it.
COMMANDS = {
    "texture": "scenes in, textured meshes out: from photos, or from a sentence",
    "example": "writes the sample room, a scene to try all this with",
    "check": "does a scan fit together: mesh, poses, photos, depth",
    "panorama": "a sentence in, a panorama out",
    "train": "trains a model, stage by stage",
    "evaluate": "figures of photos, of a result, of a model",
    "view": "a result, a GLB file or a scan in a viewer on this machine",
    "app": "a page in the browser to try it on",
}
_USAGE = f"usage: scenetex {{{','.join(COMMANDS)}}} ..."


def main(arguments: list[str] | None = None) -> int:
    """``scenetex COMMAND ...``; the exit code. Without arguments, those of the process, which is the command's own."""
    if arguments is None:
        return as_process(lambda: main(sys.argv[1:]))
    name = arguments[0] if arguments else None
    if name in COMMANDS:
        return run_command(name, arguments[1:])
    if name in ("-h", "--help"):
        for line in _help():
            say(line)
        return 0
    if name == "--version":
        say(f"scenetex {__version__}")
        return 0
    said = f"scenetex: unknown command '{name}'; " if arguments else "scenetex: no command given; "
    say(f"{said}{_USAGE}   (scenetex --help tells more)", error=True)
    return 2


def run_command(name: str, arguments: list[str], program: str | None = None) -> int:
    """Runs a command as a `program`, by default ``scenetex NAME``; the exit code."""
    program = program or f"scenetex {name}"
    # Libraries are told of --threads before they are loaded.
    with limited(asked_for(arguments)), debugging(DEBUG in arguments):
        try:
            command = import_module(f".{name}", __package__)
        except ImportError as error:
            if not is_out_of_memory(error):
                raise
            say(f"{program}: memory ran out while it was loading ({error}); free some", error=True)
            return 2
        return command.main(arguments, program)


def _help() -> list[str]:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {does}" for name, does in COMMANDS.items()]
    more = [
        "  --version",
        "",
        f"With {DEBUG}, every command says on stderr what it does, and after an error what led to it.",
        "scenetex COMMAND --help lists a command's options.",
    ]
    return [_USAGE, "", "Textures for whole 3D scenes.", "", *lines, "", *more]
