"""The one error the toolchain raises for the user: a sentence with the cause and the fix."""


class ToolchainError(RuntimeError):
    """A tool cannot be provided. The message is shown as it is, without a traceback."""
