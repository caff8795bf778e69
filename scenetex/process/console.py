"""What command lines print: a line at a time, without anything that a terminal obeys; names are other people's text."""

import sys

from tqdm import tqdm

from ..errors import plain


def say(line: str, error: bool = False) -> None:
    """Prints one line, above the bars if there are any, to stdout, or stderr for what is no result."""
    stream = sys.stderr if error else sys.stdout
    tqdm.write(plain(line), file=stream)
    stream.flush()


def bar(desc: str, **options) -> tqdm:
    """A progress bar on stderr; `options` of tqdm."""
    return tqdm(desc=plain(desc), **options)
