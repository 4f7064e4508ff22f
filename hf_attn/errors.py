"""The one error that a user's input raises."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line: what was given, what was expected, what to do. The command line prints it and exits with
    status 2; in Python it is an ordinary ``ValueError``.
    """
