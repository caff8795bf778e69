"""The process of a command: ``scenetex COMMAND ...``, and ``python -m scenetex`` as launchers of several want it."""

import signal

# From here on Ctrl-C prints no traceback; until `as_process` it simply ends the process, which has done nothing yet.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import sys

from .process.interrupt import as_process


def main() -> int:
    """Runs the command that the process was started with; its exit code."""

    def work() -> int:
        from .cli.main import main

        return main(sys.argv[1:])

    return as_process(work)


if __name__ == "__main__":
    sys.exit(main())
