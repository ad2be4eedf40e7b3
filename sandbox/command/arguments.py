"""What we need to know of a Pulumi command line, without knowing all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Global flags that take their value as the next argument.
VALUED = frozenset({"-C", "--cwd", "-s", "--stack", "--color", "-v", "--verbose", "--config-file"})
ALIASES = {"update": "up", "pre": "preview", "down": "destroy", "dn": "destroy", "refresh": "refresh"}
WITH_PROVIDERS = frozenset({"up", "preview", "destroy", "refresh", "import", "watch"})
RUNNING = frozenset({"up", "preview"})  # the commands that run the program
CHANGING = frozenset({"up", "destroy", "refresh", "import"})
WITH_STACK = frozenset({*WITH_PROVIDERS, "config", "stack", "state", "logs", "cancel"})
CREATING = frozenset({"up", "preview", "refresh", "import", "config"})


@dataclass(frozen=True, kw_only=True)
class Command:
    """A parsed command line. `folder` is where Pulumi looks for the project."""

    words: tuple[str, ...]
    folder: Path
    stack: str | None
    config_file: str | None
    help: bool

    @property
    def name(self) -> str:
        """The command, by its one name."""
        first = self.words[0] if self.words else ""
        return ALIASES.get(first, first)

    @property
    def needs_providers(self) -> bool:
        """Whether resources are looked at."""
        return self.name in WITH_PROVIDERS and not self.help

    @property
    def takes_config_file(self) -> bool:
        """Whether `--config-file` means something and nothing is written to the stack's file.

        `config set` and `config rm` change the file that is checked in, as with any Pulumi stack.
        """
        if self.help or self.config_file:
            return False
        return self.name in WITH_PROVIDERS or (self.name == "config" and self.words[1:2] in ((), ("get",)))


def parse(arguments: Sequence[str]) -> Command:
    """Find the command and the flags that matter here; everything else is Pulumi's own business."""
    found: dict[str, str] = {}
    words: list[str] = []
    wanted = ""
    for argument in arguments:
        if wanted:
            found[wanted], wanted = argument, ""
        elif argument.startswith("-"):
            name, equals, value = argument.partition("=")
            if equals:
                found[name] = value
            elif name in VALUED:
                wanted = name
        else:
            words.append(argument)
    return Command(
        words=tuple(words),
        folder=Path(found.get("-C") or found.get("--cwd") or ".").absolute(),
        stack=found.get("-s") or found.get("--stack"),
        config_file=found.get("--config-file"),
        help=bool({"-h", "--help"} & set(arguments)),
    )
