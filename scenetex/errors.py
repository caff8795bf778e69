"""The one error type that means "your input, not our bug"."""


class InputError(ValueError):
    """Bad input: one line that says what is wrong, where, and what to do.

    Command lines print the message and end with exit code 2; everything else is a bug and keeps its traceback.
    """
