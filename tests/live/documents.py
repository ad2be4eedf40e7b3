"""The commands that the documentation tells people to run."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.live.platform import ROOT

PAGES = ("README.md", "QUICK-REFERENCE.md", "bench/README.md", "frontend/README.md")
# A fence's info string may name what its commands need that no sandbox has: ```sh account, ```sh gpu.
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:make|sandbox/\w+) [^`]*|make)`")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    info: str
    text: str


def pages() -> list[Path]:
    """Every page for people."""
    return [*(ROOT / page for page in PAGES), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks() -> list[Block]:
    """The fenced blocks of all pages."""
    return [
        Block(str(page.relative_to(ROOT)), match["info"].strip(), match["text"])
        for page in pages()
        for match in FENCE.finditer(page.read_text())
    ]


def commands() -> dict[str, str]:
    """Every command of ours that runs in the sandbox → a page that names it: `sh` fences' lines and code spans."""
    found: dict[str, str] = {}
    for block in blocks():
        if block.info == "sh":
            for line in _lines(block.text):
                if line.startswith(("make", "sandbox/")):
                    found.setdefault(line, block.page)
    for page in pages():
        if page.parts[-2:] == ("bench", "README.md"):
            continue  # its prose describes what is measured
        prose = FENCE.sub("", page.read_text())
        for command in SPAN.findall(prose):
            found.setdefault(" ".join(command.split()), str(page.relative_to(ROOT)))
    return found


def _lines(text: str) -> list[str]:
    """A shell block's commands, continued lines joined, comments removed."""
    joined = text.replace("\\\n", " ")
    return [" ".join(line.split("  #")[0].split()) for line in joined.splitlines() if line.strip()]
