"""``python -m scenetex COMMAND ...``, as launchers of several processes want it."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
