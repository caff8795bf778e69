"""Variables of the environment, for a while."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(given: Mapping[str, str], *others: str) -> Iterator[None]:
    """Within the block these variables are set, for processes that are started, too; after it they,
    and `others`, are as before."""
    before = {name: os.environ.get(name) for name in (*given, *others)}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
