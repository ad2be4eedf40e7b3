"""Rounds in which every arm runs once, so that whatever else the machine does hits all arms alike."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 7  # fewer give no useful quartiles


def order(arms: Sequence[str], round_number: int) -> list[str]:
    """The arms of one round, in an order of its own that is the same in every run."""
    return random.Random(f"{round_number}:{','.join(arms)}").sample(list(arms), len(arms))


def interleaved(
    arms: Mapping[str, Callable[[], T]],
    rounds: int = ROUNDS,
    warm_up: int = 1,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, list[T]]:
    """Run every arm once a round; what each returned, round by round, the `warm_up` rounds left out."""
    found: dict[str, list[T]] = {name: [] for name in arms}
    for number in range(-warm_up, rounds):
        for name in order(list(arms), number):
            say(f"{name}, " + ("warm-up" if number < 0 else f"round {number + 1} of {rounds}"))
            value = arms[name]()
            if number >= 0:
                found[name].append(value)
    return found
