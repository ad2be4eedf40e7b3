"""The stand-in for the `random` package: RandomPassword."""

import secrets
import string
from typing import Any

from sandbox.provider.contract import Changes, Failure, Live, Naming, ProviderError, Session, Task, refuse
from sandbox.provider.differences import differences
from sandbox.provider.values import UNKNOWN, Properties, Secret, has_unknown

TOKEN = "random:index/randomPassword:RandomPassword"
# The package's own default for `overrideSpecial` (registry documentation, random 4.21).
SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
CLASSES = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "special": SPECIAL,
}
MINIMA = {"lower": "minLower", "upper": "minUpper", "numeric": "minNumeric", "special": "minSpecial"}
ARGUMENTS = {"length", "keepers", "overrideSpecial", *CLASSES, *MINIMA.values()}
LONGEST = 4096  # characters; nobody means more


class RandomPassword:
    """A password made once and kept in the state; any change of its arguments makes a new one."""

    def check(self, task: Task, olds: Properties, news: Properties, naming: Naming) -> tuple[Properties, list[Failure]]:
        failures = [
            Failure(name, f"RandomPassword has no argument {name!r} in the stand-in; there is {_list(ARGUMENTS)}.")
            for name in news
            if name not in ARGUMENTS and not name.startswith("__")
        ]
        length = news.get("length")
        if length is not UNKNOWN and not (isinstance(length, int) and 1 <= length <= LONGEST):
            failures.append(Failure("length", f"must be a whole number from 1 to {LONGEST}, not {length!r}."))
        elif not has_unknown(news) and not failures:
            if not any(news.get(name, True) for name in CLASSES):
                failures.append(Failure("", "lower, upper, numeric and special are all false: nothing to choose from."))
            elif sum(news.get(minimum, 0) for minimum in MINIMA.values()) > news["length"]:
                failures.append(Failure("length", "is less than the sum of the minima."))
        return news, failures

    def diff(self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties) -> Changes:
        paths = differences(old_inputs, news)
        return Changes(paths=paths, replace=set(paths))

    def create(self, task: Task, inputs: Properties) -> tuple[str, Properties]:
        if task.preview:
            return "", {**inputs, "result": UNKNOWN}
        return "none", {**inputs, "result": Secret(generate(inputs))}

    def update(
        self, task: Task, identifier: str, state: Properties, old_inputs: Properties, news: Properties
    ) -> Properties:
        raise ProviderError(f"{task.name}: a password is never updated.")  # diff replaces it

    def read(self, task: Task, identifier: str, state: Properties, inputs: Properties) -> Live | None:
        if not state:
            given = {"length": len(identifier)}  # import: the id is the password, as in the real package
            return Live(identifier="none", outputs={**given, "result": Secret(identifier)}, inputs=given)
        return Live(identifier=identifier, outputs={**state, "result": Secret(state.get("result"))}, inputs=inputs)

    def delete(self, task: Task, identifier: str, state: Properties) -> None:
        """Nothing exists outside the state."""


def generate(inputs: Properties) -> str:
    """A password with the operating system's randomness that has every minimum the arguments name."""
    alphabets = {**CLASSES, "special": inputs.get("overrideSpecial") or SPECIAL}
    wanted = {name: letters for name, letters in alphabets.items() if inputs.get(name, True)}
    letters = [secrets.choice(wanted[n]) for n, m in MINIMA.items() if n in wanted for _ in range(inputs.get(m, 0))]
    every = "".join(wanted.values())
    letters += [secrets.choice(every) for _ in range(inputs["length"] - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


class RandomProvider:
    """The package. It has no configuration."""

    name = "random"
    version = "4.21.4"

    def check_config(self, config: Properties) -> list[Failure]:
        return []

    def diff_config(self, old: Properties, new: Properties) -> Changes:
        return Changes()

    def configure(self, config: Properties) -> Session:
        return self

    def resource_type(self, token: str) -> Any:
        if token != TOKEN:
            raise refuse(token, [TOKEN])
        return RandomPassword()

    def invoke(self, token: str, arguments: Properties) -> Properties:
        raise refuse(f"The function {token}", [f"no function of {self.name}"])
