"""Stop strings, found in text that arrives in pieces."""

from __future__ import annotations


class StopFilter:
    """Passes text on until one of the stop strings appears; the match itself is never passed on.

    Text that could be the beginning of a stop string is held back until the next piece decides.
    """

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=0)
        self._firsts = {stop[0] for stop in stops}
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Add text; returns what may be shown now and whether a stop string was met."""
        if not self._stops:
            return text, False
        text = self._held + text
        found = [at for at in map(text.find, self._stops) if at >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """What is still held back when the text has ended."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, text: str) -> int:
        """Length of the longest end of ``text`` with which a stop string begins."""
        for at in range(max(0, len(text) - self._longest + 1), len(text)):
            # The first character decides nearly always; comparing every end would cost more than the token.
            if text[at] in self._firsts and any(stop.startswith(text[at:]) for stop in self._stops):
                return len(text) - at
        return 0
