"""`python -m ci.ephemeral up|down|janitor`: test clusters that are made by one command and lost by one.

When a stack ends is kept in its tags, which every backend has, before anything is made in it: whatever happens to
the update, the machine or the checkout, the janitor finds it.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ci import derive
from ci.derive import EphemeralError
from ci.project import REPOSITORY, Project, PulumiError
from stacks import stackfile

EPHEMERAL, EXPIRES, TARGET = "llmops:ephemeral", "llmops:expires", "llmops:target"
Up = Callable[[str], int]


@dataclass(frozen=True, kw_only=True)
class Ephemeral:
    """An ephemeral stack, as its tags describe it."""

    name: str
    target: str
    expires: datetime

    def past(self, now: datetime) -> bool:
        """Whether its time is over."""
        return now >= self.expires


def up(project: Project, name: str, target: str, ttl: str, bring_up: Up, now: datetime) -> int:
    """Write the stack's file, tag the stack, bring it up. Once more: the same stack, with a new time."""
    derive.check_name(name)
    expires = derive.stamp(now + derive.lifetime(ttl))
    known = find(project).get(name)
    if known is None and name in project.stacks():
        raise EphemeralError(f"NAME={name!r} is a stack that is not ephemeral; use another name, such as pr-123.")
    if known is not None and known.target != target:
        raise EphemeralError(
            f"NAME={name!r} is an ephemeral stack of {known.target}; use TARGET={known.target}, "
            f"or `make ephemeral-down NAME={name}` first."
        )
    write(name, target, expires)
    project.create(name, {EPHEMERAL: "true", EXPIRES: expires, TARGET: target})
    code = bring_up(name)
    print(f"{name}: {'is up' if code == 0 else 'did not come up'}; it ends at {expires}.", file=sys.stderr)
    return code


def write(name: str, target: str, expires: str) -> None:
    """Write the stack's file."""
    source = derive.source_of(target)
    config = derive.derive(derive.config_of(source), target, expires)
    stackfile.path(name).write_text(derive.text(config, name, source, derive.secrets_of(source)))
    stackfile.read(name)  # whatever is wrong with it is said now


def down(project: Project, name: str) -> int:
    """Destroy an ephemeral stack, whoever made it, and remove its file."""
    derive.check_name(name)
    if name not in project.stacks():
        stackfile.path(name).unlink(missing_ok=True)
        print(f"{name}: there is no such stack; nothing to do.", file=sys.stderr)
        return 0
    known = find(project).get(name)
    if known is None:
        raise EphemeralError(f"NAME={name!r} is not ephemeral; `make down STACK={name}` destroys it.")
    if name not in stackfile.names():  # made from another checkout
        write(name, known.target, derive.stamp(known.expires))
    code = project.destroy(name)
    if code == 0:
        stackfile.path(name).unlink(missing_ok=True)
    return code


def find(project: Project) -> dict[str, Ephemeral]:
    """The ephemeral stacks that have a state, by name."""
    found: dict[str, Ephemeral] = {}
    for name in project.stacks():
        tags = project.tags(name)
        if tags.get(EPHEMERAL) == "true":
            # Without a time that can be read it is over: nobody shall pay for a typing mistake.
            try:
                expires = datetime.strptime(tags.get(EXPIRES, ""), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            except ValueError:
                expires = datetime.min.replace(tzinfo=UTC)
            found[name] = Ephemeral(name=name, target=tags.get(TARGET, ""), expires=expires)
    return found


def janitor(project: Project, now: datetime, destroy: bool) -> int:
    """List the ephemeral stacks; destroy those whose time is over if told to. 1 when one could not be destroyed."""
    stacks = sorted(find(project).values(), key=lambda stack: stack.expires)
    over = [stack for stack in stacks if stack.past(now)]
    for stack in stacks:
        left = stack.expires - now
        state = "OVER" if stack.past(now) else f"{left.total_seconds() / 3600:.1f} h left"
        print(f"{stack.name:20} {stack.target:6} {derive.stamp(stack.expires)}  {state}")
    print(f"{len(stacks)} ephemeral stacks, {len(over)} past their time.")
    if not destroy:
        if over:
            print("Nothing is destroyed without DESTROY=yes.")
        return 0
    failed = [stack.name for stack in over if _ended(project, stack)]
    if failed:
        print(f"janitor: not destroyed: {', '.join(failed)}; the next run tries again.", file=sys.stderr)
    return 1 if failed else 0


def _ended(project: Project, stack: Ephemeral) -> int:
    try:
        return down(project, stack.name)
    except (EphemeralError, stackfile.StackFileError, PulumiError) as error:
        print(f"{stack.name}: {error}", file=sys.stderr)
        return 1


def _make_up(name: str) -> int:
    """The same way as `make up`."""
    return subprocess.run([sys.executable, "-m", "sandbox", "up", "--stack", name], cwd=REPOSITORY).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ci.ephemeral", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("up", help="make an ephemeral stack, or give one a new time")
    make.add_argument("name")
    make.add_argument("--target", required=True, help="eks or gke")
    make.add_argument("--ttl", default="8h", help="how long it lives: 90m, 8h, 2d (default: 8h)")
    lose = commands.add_parser("down", help="destroy an ephemeral stack")
    lose.add_argument("name")
    sweep = commands.add_parser("janitor", help="list the ephemeral stacks, and destroy those past their time")
    sweep.add_argument("--destroy", action="store_true", help="without it nothing is destroyed")
    given = parser.parse_args(arguments)
    project, now = Project(), datetime.now(UTC)
    try:
        if given.command == "up":
            return up(project, given.name, given.target, given.ttl, _make_up, now)
        if given.command == "down":
            return down(project, given.name)
        return janitor(project, now, given.destroy)
    except (EphemeralError, stackfile.StackFileError, PulumiError) as error:
        print(f"ephemeral: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
