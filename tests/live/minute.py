"""The rate-limit service counts in whole minutes of the clock: tests that count need one minute for themselves."""

import time

WINDOW = 60  # seconds


def fresh_minute(seconds: float) -> None:
    """Return when at least `seconds` of the current minute are left, waiting for the next one if need be."""
    left = WINDOW - time.time() % WINDOW
    if left < seconds:
        deadline = time.time() + left
        while (remaining := deadline - time.time()) > 0:
            time.sleep(min(remaining, 1))  # the clock itself is the condition
