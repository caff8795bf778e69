"""The one kind of error that the add-on's operator reports as a line."""


class AddonError(Exception):
    """What is wrong and what to do, in one line."""
