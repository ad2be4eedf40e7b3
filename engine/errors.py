"""What goes wrong in a way that the user can put right."""


class EngineError(Exception):
    """One sentence for the user, naming the file or setting and the fix; `code` is the exit status."""

    code = 1


class InputError(EngineError):
    """The checkpoint, a flag or a setting cannot be used as it is."""

    code = 2


class CorruptError(EngineError):
    """A published file is not the file that was published."""

    code = 3


class ConflictError(EngineError):
    """The version exists already, with other content."""

    code = 4
