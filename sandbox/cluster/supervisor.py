"""PID 1 of the cluster's own namespaces: starts the components, restarts what dies, reaps orphans.

`python -m sandbox.cluster.supervisor INSTANCE PLAN`, under `unshare`. When it ends, however it ends, the kernel takes
every process, mount and interface of the cluster with it. It is told things by signals: SIGHUP reads the plan again
and starts what is new, SIGTERM stops. It imports the standard library only and stays small.
"""

import json
import os
import signal
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from sandbox.cluster import isolation
from sandbox.cluster.plan import Component, Plan, Probe, read

LOCK_FD = 3  # the starter's lock; held as long as this process lives
SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP}
BACKOFF = 0.25  # seconds before the first restart; doubled each time
BACKOFF_LIMIT = 20.0
STEADY = 60.0  # seconds of running after which the back-off starts over
POLL = 0.05  # seconds between looks at components that are not ready yet
GRACE = 3.0  # seconds for components with files to close


@dataclass
class Running:
    """A component and how it is doing."""

    component: Component
    pid: int = 0
    ready: bool = False
    done: bool = False  # a oneshot that succeeded
    restarts: int = 0
    exit: str = ""
    began: float = 0.0
    due: float = field(default_factory=time.monotonic)

    @property
    def settled(self) -> bool:
        """Nothing to wait for: ready, or finished."""
        return self.done or (self.ready and self.pid > 0)


def log(text: str) -> None:
    """One dated line on standard error, the supervisor's log."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, file=sys.stderr, flush=True)


class Supervisor:
    """The components of a plan, kept running."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan
        self.running: dict[str, Running] = {}
        self.stopping = False
        self._tls: ssl.SSLContext | None = None
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Take up components that are new in the plan."""
        self.plan = plan
        for component in plan.components:
            if component.name not in self.running:
                self.running[component.name] = Running(component)

    def run(self) -> None:
        """Until SIGTERM."""
        while not self.stopping:
            self.start_due()
            self.probe()
            self.report()
            self.wait(self.pause())
        self.stop()

    def wait(self, seconds: float) -> None:
        """Sleep until a signal or the time is up, and handle every signal that is pending."""
        received = signal.sigtimedwait(SIGNALS, seconds)
        while received is not None:
            if received.si_signo == signal.SIGTERM:
                self.stopping = True
            elif received.si_signo == signal.SIGHUP and (plan := read(self.path)) is not None:
                self.adopt(plan)
            received = signal.sigtimedwait(SIGNALS, 0)
        self.reap()

    def pause(self) -> float:
        """Seconds until there may be something to do without a signal."""
        now = time.monotonic()
        due = [one.due - now for one in self.running.values() if not one.pid and not one.done]
        if any(not one.settled for one in self.running.values()):
            due.append(POLL)
        return max(0.0, min(due, default=3600.0)) if not due or min(due) > POLL else POLL

    def start_due(self) -> None:
        """Start what is not running, whose time has come and whose needs are ready."""
        now = time.monotonic()
        for one in self.running.values():
            if one.pid or one.done or one.due > now:
                continue
            if all(self.running[need].settled for need in one.component.needs):
                self.spawn(one)

    def spawn(self, one: Running) -> None:
        """Start one component with its own session and log file."""
        component = one.component
        output = os.path.join(self.plan.logs, component.name + ".log")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        one.began = time.monotonic()
        try:
            one.pid = os.posix_spawn(
                component.argv[0],
                component.argv,
                {"PATH": os.environ["PATH"], "HOME": "/root", **component.env},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, output, flags, 0o640),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=SIGNALS | {signal.SIGPIPE},
            )
        except OSError as error:
            self.ended(one, f"could not be started: {error}")

    def reap(self) -> None:
        """Collect ended children, ours and orphans of containers."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for one in self.running.values():
                if one.pid == pid:
                    code = os.waitstatus_to_exitcode(status)
                    if one.component.oneshot and code == 0:
                        one.pid, one.done = 0, True
                    else:
                        self.ended(one, f"exit code {code}" if code >= 0 else f"signal {-code}")

    def ended(self, one: Running, how: str) -> None:
        """Plan the restart of a component that died."""
        now = time.monotonic()
        one.restarts = 0 if now - one.began > STEADY else one.restarts
        delay = min(BACKOFF * 2**one.restarts, BACKOFF_LIMIT)
        one.pid, one.ready, one.exit, one.due = 0, False, how, now + delay
        one.restarts += 1
        if not self.stopping:
            log(f"{one.component.name} ended ({how}); starting it again in {delay:.2f} s")

    def probe(self) -> None:
        """Look at components that run and are not ready yet."""
        for one in self.running.values():
            if one.pid and not one.ready and not one.component.oneshot:
                one.ready = self.answers(one.component.ready)
                if one.ready:
                    log(f"{one.component.name} is ready after {time.monotonic() - one.began:.2f} s")

    def answers(self, probe: Probe) -> bool:
        """Whether a probe succeeds now. A component without a probe is ready when it runs."""
        try:
            if probe.tcp:
                host, port = probe.tcp.rsplit(":", 1)
                socket.create_connection((host, int(port)), timeout=0.5).close()
            if probe.unix:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(0.5)
                    client.connect(probe.unix)
            if probe.https:
                if self._tls is None:
                    self._tls = ssl.create_default_context(cafile=self.plan.ca)
                    self._tls.load_cert_chain(self.plan.admin + ".crt", self.plan.admin + ".key")
                urllib.request.urlopen(probe.https, timeout=2, context=self._tls).close()
        except (OSError, urllib.error.URLError):
            return False
        return True

    def report(self) -> None:
        """Write how everything is doing, for `status` and for the starter."""
        state = {
            one.component.name: {
                "pid": one.pid,
                "ready": one.settled,
                "restarts": one.restarts,
                "exit": one.exit,
            }
            for one in self.running.values()
        }
        text = json.dumps({"components": state})
        if text != getattr(self, "_reported", ""):
            self._reported = text
            part = self.plan.status + ".part"
            Path(part).write_text(text)
            os.replace(part, self.plan.status)

    def stop(self) -> None:
        """Ask everything to end; give those with files to close a moment. The kernel ends the rest with us."""
        self.stopping = True
        lingering = [one for one in self.running.values() if one.component.linger]
        for one in self.running.values():
            if one.pid:
                os.kill(one.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while any(one.pid for one in lingering) and (left := deadline - time.monotonic()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, left)
            self.reap()


def main(path: Path) -> None:
    """Isolate, then supervise."""
    os.set_inheritable(LOCK_FD, False)
    plan = read(path)
    if plan is None:
        raise SystemExit(f"{path} is not a plan.")
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    isolation.enter(plan)
    log("namespaces are set up")
    Supervisor(path, plan).run()
    log("stopped")


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """PID 1 ignores signals without a handler anyway; Ctrl-C at the starter's terminal is not for us."""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _ignore)
    main(Path(sys.argv[2]))
