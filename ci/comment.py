"""`python -m ci.comment`: one comment on a pull request, from the previews of all stacks.

What is lost comes first: replacements and deletions with their reasons, then counts, what the policies say, and what
changes in the bill at list prices.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.preview import CREATE, DELETE, REPLACE, SAME, UPDATE, Change, Preview, PreviewError, read
from policy import cost, prices
from policy.catalogue import RULES, STACK_RULES, Violation, limits, violations
from policy.rule import Limits
from stacks import stackfile

MARKER = "<!-- llmops-preview -->"  # by it the comment is found again and written anew
LONGEST = 60_000  # characters; GitHub takes 65,536
STACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # what Pulumi takes as a stack's name
LISTED = 20  # lines of one kind in one stack
WORDS = {REPLACE: "replaced", DELETE: "deleted", CREATE: "created", UPDATE: "updated", SAME: "unchanged"}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack's part of the comment."""

    name: str
    preview: Preview | None
    problem: str = ""  # why there is no preview
    violations: tuple[Violation, ...] = ()
    real: bool = False  # against the clouds and the stack's own state

    @property
    def before(self) -> cost.Cost:
        """What it costs today."""
        return cost.total(self.preview.before) if self.preview else cost.Cost()

    @property
    def after(self) -> cost.Cost:
        """What it will cost."""
        return cost.total(self.preview.after) if self.preview else cost.Cost()


def examine(name: str, file: Path, allowed: Limits | None, real: bool = False) -> Stack:
    """One stack's preview and what the policies say to it."""
    try:
        preview = read(file)
    except PreviewError as error:
        return Stack(name=name, preview=None, problem=str(error), real=real)
    found = tuple(violations(preview.after, allowed or Limits()))
    return Stack(name=name, preview=preview, violations=found, real=real)


def comment(stacks: Sequence[Stack], commit: str = "") -> str:
    """The whole comment as Markdown."""
    asked = [f"`{stack.name}`" for stack in stacks if stack.real]
    told = [f"{', '.join(asked)}: against the clouds and what runs there"] if asked else []
    if len(asked) < len(stacks):
        told.append("hermetic previews: against stand-ins, from an empty state, so everything is created")
    kind = "; ".join(told)
    parts = [MARKER, f"## Preview of {len(stacks)} stack{'' if len(stacks) == 1 else 's'}", _lead(stacks)]
    parts += [_table(stacks), *filter(None, (_lost(stack) for stack in stacks))]
    parts += [part for stack in stacks for part in _problems(stack)]
    parts += [_policies(stacks), _bill(stacks), *filter(None, (_details(stack) for stack in stacks))]
    parts.append(f"<sub>{kind}{f'; commit {commit[:12]}' if commit else ''}</sub>")
    text = "\n\n".join(part for part in parts if part) + "\n"
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition("\n")[0] + "\n\n… cut; the run's artifact has the rest.\n"
    return text


def _lead(stacks: Sequence[Stack]) -> str:
    lost = sum(len(stack.preview.of(op)) for stack in stacks if stack.preview for op in (REPLACE, DELETE))
    broken = sum(len(stack.violations) for stack in stacks)
    failed = sum(1 for stack in stacks if stack.preview is None or stack.preview.errors)
    told = [
        f"**{lost} resource{'s are' if lost != 1 else ' is'} replaced or deleted.**" if lost else "Nothing is lost.",
        f"**{broken} polic{'ies are' if broken != 1 else 'y is'} violated.**" if broken else "All policies are kept.",
    ]
    if failed:
        told.append(f"**{failed} preview{'s' if failed != 1 else ''} failed.**")
    return " ".join(told)


def _table(stacks: Sequence[Stack]) -> str:
    head = ["stack", *(WORDS[op] for op in WORDS), "policies", "USD a month (smallest – largest)"]
    rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for stack in stacks:
        if stack.preview is None:
            rows.append(f"| `{stack.name}` | {' | '.join('–' for _ in WORDS)} | – | no preview |")
            continue
        counts = stack.preview.counts()
        cells = [str(counts.get(op, 0) or "–") for op in WORDS]
        policies = f"**{len(stack.violations)}**" if stack.violations else "kept"
        name = f"`{stack.name}`{' (real)' if stack.real else ''}"
        rows.append(f"| {name} | {' | '.join(cells)} | {policies} | {_range(stack.after)}{_change(stack)} |")
    return "\n".join(rows)


def _range(found: cost.Cost) -> str:
    if not found.high:
        return "–"
    return f"{found.low:,.0f} – {found.high:,.0f}" if round(found.low) != round(found.high) else f"{found.high:,.0f}"


def _change(stack: Stack) -> str:
    low, high = stack.after.low - stack.before.low, stack.after.high - stack.before.high
    if not stack.before.high or (abs(low) < 0.5 and abs(high) < 0.5):
        return ""
    return f" ({low:+,.0f} / {high:+,.0f})"


def _lost(stack: Stack) -> str:
    """What is replaced or deleted, with the reasons."""
    if stack.preview is None:
        return ""
    lost = [*stack.preview.of(REPLACE), *stack.preview.of(DELETE)]
    if not lost:
        return ""
    return "\n".join([f"### Lost in `{stack.name}`", "", *_lines(lost)])


def _lines(changes: Sequence[Change]) -> list[str]:
    lines = [_line(change) for change in changes[:LISTED]]
    if len(changes) > LISTED:
        lines.append(f"- … and {len(changes) - LISTED} more")
    return lines


def _line(change: Change) -> str:
    because = f", because of {', '.join(f'`{_code(b)}`' for b in change.because)}" if change.because else ""
    return f"- **{change.operation}** `{_code(change.type)}` `{_code(change.name)}`{because}"


def _problems(stack: Stack) -> list[str]:
    told = [stack.problem] if stack.problem else list(stack.preview.errors) if stack.preview else []
    if not told:
        return []
    lines = [f"- {_text(sentence)}" for sentence in told[:LISTED]]
    return ["\n".join([f"### `{stack.name}` failed", "", *lines])]


def _policies(stacks: Sequence[Stack]) -> str:
    lines: list[str] = []
    for stack in stacks:
        for violation in stack.violations[:LISTED]:
            name = violation.urn.rpartition("::")[2]
            what = f"`{_code(name)}` " if name else ""
            lines.append(f"- `{stack.name}` **{violation.rule}**: {what}{_text(violation.text)}")
        if len(stack.violations) > LISTED:
            lines.append(f"- `{stack.name}`: … and {len(stack.violations) - LISTED} more")
    if not lines:
        return ""
    return "\n".join([f"### Policies ({len(RULES) + len(STACK_RULES)} rules)", "", *lines])


def _bill(stacks: Sequence[Stack]) -> str:
    """Where the prices are from and what they leave out."""
    if not any(stack.after.high or stack.before.high for stack in stacks):
        return ""
    from_where = "; ".join(
        f"{name}: {table.region}, noted on {table.noted} ({table.source})" for name, table in prices.load().items()
    )
    unpriced = sorted({name for stack in stacks for name in stack.after.unpriced})
    missing = f" Without a price, so not in it: {', '.join(unpriced)}." if unpriced else ""
    scope = " ".join((cost.__doc__ or "").split("\n\n", 1)[1].split())
    return f"<details><summary>What the bill holds</summary>\n\n{scope}{missing}\n\nPrices: {from_where}.\n\n</details>"


def _details(stack: Stack) -> str:
    if stack.preview is None:
        return ""
    changes = [*stack.preview.of(UPDATE), *stack.preview.of(CREATE)]
    if not changes:
        return ""
    lines = [_line(c) for c in changes[: 3 * LISTED]]
    if len(changes) > 3 * LISTED:
        lines.append(f"- … and {len(changes) - 3 * LISTED} more")
    body = "\n".join(lines)
    return f"<details><summary>{len(changes)} created or updated in {stack.name}</summary>\n\n{body}\n\n</details>"


def _code(text: str) -> str:
    """Text inside backticks: a fork's names are nobody's Markdown."""
    return text.replace("`", "'").replace("\n", " ")


def _text(text: str) -> str:
    """A sentence of somebody else's: no mentions, no HTML, no images or links."""
    found = text.replace("<", "&lt;").replace("@", "@\u200b").replace("\n", " ")
    return found.replace("![", "!\\[").replace("](", "]\\(")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the comment; 1 where a preview failed or a policy is violated."""
    parser = argparse.ArgumentParser(prog="python -m ci.comment", description=__doc__)
    parser.add_argument("previews", type=Path, nargs="?", help="folder with <stack>.json of hermetic previews")
    parser.add_argument("--real", type=Path, help="folder with <stack>.json of real ones, which are worth more")
    parser.add_argument("--out", type=Path, help="file to write; standard output without it")
    parser.add_argument("--commit", default="", help="the commit that was previewed")
    given = parser.parse_args(arguments)
    files = {**_files(given.previews, real=False), **_files(given.real, real=True)}
    if not files:
        print("comment: there are no previews; make some with `ci/run previews --out FOLDER`.", file=sys.stderr)
        return 2
    stacks = [examine(name, file, _allowed(name), real) for name, (file, real) in sorted(files.items())]
    text = comment(stacks, given.commit)
    if given.out:
        given.out.write_text(text)
    else:
        print(text, end="")
    return int(any(s.preview is None or s.preview.errors or s.violations for s in stacks))


def _files(folder: Path | None, *, real: bool) -> dict[str, tuple[Path, bool]]:
    """The previews in a folder that may be anybody's: by names that a stack can have, as plain files."""
    found = sorted(folder.glob("*.json")) if folder is not None else []
    return {file.stem: (file, real) for file in found if STACK.fullmatch(file.stem) and file.is_file()}


def _allowed(stack: str) -> Limits | None:
    try:
        return limits(stackfile.read(stack))
    except stackfile.StackFileError:
        return None  # the preview has failed by it and says so


if __name__ == "__main__":
    sys.exit(main())
