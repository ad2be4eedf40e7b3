"""`python -m ci.diagram preview.json`: a Mermaid picture of a stack's components, drawn from the program itself.

A box is a component (or an object of nobody's), with the kinds of what it makes; an arrow says that something in the
one box waits for something in the other, with the arrows left out that follow from others.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.preview import PreviewError, read_steps

COMPONENT = "llmops:index:"
SKIPPED = ("pulumi:pulumi:Stack", "pulumi:providers:")
KINDS = 6  # of a box's contents that are named


@dataclass(frozen=True, kw_only=True)
class Node:
    """One resource: its place in the tree and what it waits for, as URNs."""

    urn: str
    type: str
    name: str
    parent: str
    dependencies: tuple[str, ...]


def nodes(file: Path) -> list[Node]:
    """The resources of `preview --json --show-sames`. Raises PreviewError."""
    found: dict[str, Node] = {}
    for step in read_steps(file):
        state = step.get("newState")
        if state:
            found[step["urn"]] = Node(
                urn=step["urn"],
                type=str(state["type"]),
                name=str(step["urn"]).rpartition("::")[2],
                parent=str(state.get("parent", "")),
                dependencies=tuple(state.get("dependencies") or ()),
            )
    return list(found.values())


def mermaid(given: Iterable[Node]) -> str:
    """The picture, the same for the same program whatever the order of registration was."""
    known = {node.urn: node for node in given if not node.type.startswith(SKIPPED)}
    boxes = {urn: _box(node, known) for urn, node in known.items()}
    contents: dict[str, Counter[str]] = {box: Counter() for box in boxes.values()}
    arrows: set[tuple[str, str]] = set()
    for urn, node in known.items():
        if boxes[urn] != urn and not node.type.startswith(COMPONENT):
            contents[boxes[urn]][_kind(node)] += 1
        for dependency in node.dependencies:
            if dependency in boxes and boxes[dependency] != boxes[urn]:
                arrows.add((boxes[dependency], boxes[urn]))
    order = sorted(contents, key=lambda urn: (known[urn].type, known[urn].name))
    # By name and not by number: a new box changes no other line of the page.
    ids = {urn: re.sub(r"\W", "_", f"{_kind(known[urn])}_{known[urn].name}") for urn in order}
    lines = ["flowchart LR"]
    lines += [f'    {ids[urn]}["{_label(known[urn], contents[urn])}"]' for urn in order]
    kept = sorted(_reduced(arrows), key=lambda pair: (order.index(pair[0]), order.index(pair[1])))
    lines += [f"    {ids[first]} --> {ids[then]}" for first, then in kept]
    return "\n".join(lines) + "\n"


def _box(node: Node, known: dict[str, Node]) -> str:
    """The box that a resource lies in: its outermost component, else itself."""
    top = node
    while top.parent in known:
        top = known[top.parent]
    return top.urn


def _kind(node: Node) -> str:
    return node.type.rpartition(":")[2]


def _label(node: Node, contents: Counter[str]) -> str:
    title = f"<b>{_escaped(_kind(node))}</b> {_escaped(node.name)}"
    kinds = [f"{kind} ×{count}" if count > 1 else kind for kind, count in sorted(contents.items())]
    if len(kinds) > KINDS:
        kinds = [
            *kinds[:KINDS],
            f"and {sum(contents.values()) - sum(contents[k.split(' ×')[0]] for k in kinds[:KINDS])} more",
        ]
    return "<br/>".join([title, *map(_escaped, kinds)])


def _escaped(text: str) -> str:
    return re.sub(r'["<>]', "", text)


def _reduced(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows without those that a longer way says already. A cycle keeps all of its arrows."""
    after: dict[str, set[str]] = {}
    for first, then in arrows:
        after.setdefault(first, set()).add(then)

    def reachable(start: str, without: tuple[str, str]) -> set[str]:
        seen: set[str] = set()
        rest = [start]
        while rest:
            here = rest.pop()
            for then in after.get(here, ()):
                if (here, then) != without and then not in seen:
                    seen.add(then)
                    rest.append(then)
        return seen

    return {(first, then) for first, then in arrows if then not in reachable(first, (first, then))}


def replaced(page: str, stack: str, picture: str) -> str:
    """A page with the picture of one stack written anew, between its marks."""
    begin, end = f"<!-- diagram: {stack} -->\n", f"<!-- end: {stack} -->"
    head, found, rest = page.partition(begin)
    if not found or end not in rest:
        raise ValueError(f"the page has no place for {stack}: write {begin.strip()} and {end} around it.")
    return f"{head}{begin}```mermaid\n{picture}```\n{end}{rest.partition(end)[2]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one picture, or write it into a page; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ci.diagram", description=__doc__)
    parser.add_argument("preview", type=Path, help="the output of `pulumi preview --json --show-sames`")
    parser.add_argument("--page", type=Path, help="a page to write it into")
    parser.add_argument("--stack", help="which of the page's pictures; the file's name without it")
    given = parser.parse_args(arguments)
    try:
        picture = mermaid(nodes(given.preview))
        if given.page is None:
            print(picture, end="")
        else:
            given.page.write_text(replaced(given.page.read_text(), given.stack or given.preview.stem, picture))
    except (PreviewError, ValueError, OSError) as error:
        print(f"diagram: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
