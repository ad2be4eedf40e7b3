"""What a figure says when it cannot be measured."""


class BenchError(Exception):
    """One sentence for the person who runs the bench."""
