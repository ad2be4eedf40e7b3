"""Running the CLI as a child: its providers live in this process, and signals reach it exactly once."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WAITED_FOR = {*FORWARDED, signal.SIGCHLD}
SENT_BY_KERNEL = 0x80  # SI_KERNEL: the terminal's Ctrl-C, which went to the whole foreground group


def hold_signals() -> None:
    """Keep signals pending until `run` takes them. Call before any thread starts: threads inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `command` to its end; its exit code, 128 + n after signal n.

    On a terminal the child shares our process group and has itself received what the keyboard sent. Elsewhere it gets
    a group of its own, so that a signal to our group reaches it through us alone: Pulumi takes a second interrupt as
    "stop at once, whatever is under way".
    """
    early: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        early.append(number)

    for number in FORWARDED:
        signal.signal(number, note)
    shared = os.isatty(0)
    # If we are killed outright, the CLI has lost its providers: it is told to end as well.
    guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    # The child inherits this thread's mask: it must not be born deaf.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED_FOR)
    process = subprocess.Popen([*guard, *command], env=dict(environment), process_group=None if shared else 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    for number in early:
        process.send_signal(number)
    while (code := process.poll()) is None:
        received = signal.sigtimedwait(WAITED_FOR, 1.0)  # the timeout only covers a lost SIGCHLD
        if received is None or received.si_signo == signal.SIGCHLD:
            continue
        if not (shared and received.si_code == SENT_BY_KERNEL):
            process.send_signal(received.si_signo)
    return 128 - code if code < 0 else code
