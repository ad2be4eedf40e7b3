"""The end of waiting."""


class FailedError(Exception):
    """The object will not become ready by itself; the text says why."""
