"""Starts one MPI job over the pods of a group: mpirun in the leader, its daemons in the workers.

mpirun starts a daemon on every other node through a "remote shell". ssh needs a server, keys and a user with a name
in every pod; `kubectl exec` needs the right to run anything in any pod of the namespace. This file is that remote
shell instead: a worker waits for exactly one command from whoever proves that it knows the group's key, and ends with
it. No rights in the cluster, any user id, nothing added to the image. It is mounted into the pods and uses only what
every Python 3.10 has.

    group_launcher.py work             in a worker
    group_launcher.py lead PROGRAM…    in the leader: mpirun's program list
    group_launcher.py shell HOST …     called by mpirun

Environment: GROUP_KEY, the secret; GROUP_NODES, pods of the group; GROUP_SLOTS, ranks in each pod; GROUP_WAIT, the
longest wait for the workers, seconds; GROUP_DRAIN, the longest answer still finished, seconds; LWS_LEADER_ADDRESS, by
LeaderWorkerSet. The protocol, in lines: the worker sends a nonce, the caller an HMAC-SHA256 of nonce and command, and
the command as JSON; the worker sends the exit status when it is known. A connection that ends ends the command.
"""

import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from types import FrameType

PORT = 2222
PATIENCE = 20.0  # seconds for a handshake


def proof(nonce: str, command: str) -> str:
    """What only a holder of the group's key can say of a command."""
    key = os.environ["GROUP_KEY"].encode()
    return hmac.new(key, f"{nonce}\0{command}".encode(), hashlib.sha256).hexdigest()


def worker_name(index: int) -> str:
    """LeaderWorkerSet's name of a worker: the leader's, and its place in the group."""
    host, _, domain = os.environ["LWS_LEADER_ADDRESS"].partition(".")
    return f"{host}-{index}.{domain}" if domain else f"{host}-{index}"


def work(port: int = PORT) -> int:
    """Wait for the leader's one command, run it, and end with it."""
    done: list[int] = []
    over = threading.Event()
    busy = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rw") as lines:
            try:
                connection.settimeout(PATIENCE)
                nonce = secrets.token_hex(32)
                lines.write(f"{nonce}\n")
                lines.flush()
                given, command = lines.readline().strip(), lines.readline()
                if not hmac.compare_digest(given, proof(nonce, command)) or not busy.acquire(blocking=False):
                    return
            except (OSError, ValueError):
                return  # a probe, or somebody who does not know the key
            connection.settimeout(None)
            process = subprocess.Popen(["sh", "-c", json.loads(command)], start_new_session=True)
            threading.Thread(target=_end_with, args=(connection, process), daemon=True).start()
            code = process.wait()
            try:
                lines.write(f"{code}\n")
                lines.flush()
            except (OSError, ValueError):
                pass  # the leader is gone; so is what it started
            done.append(code)
            over.set()

    def leave(_number: int, _frame: FrameType | None) -> None:
        # The whole group goes, or only this node. The leader's job needs us until its last answer is out.
        wait = float(os.environ.get("GROUP_DRAIN", "0")) if busy.locked() else 0.0
        threading.Timer(wait, over.set).start()

    signal.signal(signal.SIGTERM, leave)
    with socket.create_server(("", port)) as server:
        server.settimeout(0.5)
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
    return done[0] if done else 0


def _end_with(connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """End the command when its caller goes away: nobody would ever ask it to."""
    while connection.recv(1024):
        pass
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)


def shell(arguments: list[str], port: int = PORT) -> int:
    """mpirun's remote shell: run the rest of the arguments at the first one."""
    host, *words = arguments
    command = json.dumps(" ".join(words)) + "\n"
    with socket.create_connection((host, port), timeout=PATIENCE) as connection, connection.makefile("rw") as lines:
        nonce = lines.readline().strip()
        lines.write(f"{proof(nonce, command)}\n{command}")
        lines.flush()
        connection.settimeout(None)
        answer = lines.readline().strip()
    return int(answer) if answer else 255


def lead(program: list[str]) -> int:
    """Wait for every worker, then run mpirun over the group; Kubernetes' SIGTERM is handed to the first rank."""
    nodes, slots = int(os.environ["GROUP_NODES"]), int(os.environ["GROUP_SLOTS"])
    workers = [worker_name(index) for index in range(1, nodes)]
    deadline = time.monotonic() + float(os.environ["GROUP_WAIT"])
    for host in workers:
        if not _reachable(host, deadline):
            print(f"group_launcher: {host} does not answer on port {PORT}", file=sys.stderr)
            return 1
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.writelines(f"{host} slots={slots}\n" for host in [socket.gethostname(), *workers])
        hosts.flush()
        mpirun = subprocess.Popen(["mpirun", *options(hosts.name), *program])
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_leave, args=(mpirun,), daemon=True).start())
        return mpirun.wait()


def _leave(mpirun: subprocess.Popen[bytes]) -> None:
    """Let the first rank finish its answers, which takes all the others, and end them only then.

    mpirun itself would keep SIGTERM back for the time that it waits before SIGKILL, node after node (seen with 4.1.4).
    """
    deadline = time.monotonic() + float(os.environ.get("GROUP_DRAIN", "0"))
    first = _first_rank(mpirun.pid)
    if first:
        os.killpg(first, signal.SIGTERM)  # mpirun makes each rank the leader of a process group
    while first and time.monotonic() < deadline and _first_rank(mpirun.pid):
        time.sleep(0.2)
    mpirun.terminate()


def _first_rank(parent: int) -> int | None:
    """The process of rank 0 among mpirun's children."""
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                state, ppid = stat.read().rpartition(")")[2].split()[:2]
            with open(f"/proc/{entry}/environ", "rb") as environ:
                is_first = b"OMPI_COMM_WORLD_RANK=0" in environ.read().split(b"\0")
        except OSError:  # no process, or one that ended
            continue
        if int(ppid) == parent and state != "Z" and is_first:
            return int(entry)
    return None


def options(hostfile: str) -> list[str]:
    """mpirun's own (Open MPI 4, as in NVIDIA's image)."""
    return [
        *("--allow-run-as-root", "--hostfile", hostfile, "--map-by", "slot", "--bind-to", "none"),
        *("--mca", "plm_rsh_agent", f"{sys.executable} {os.path.abspath(__file__)} shell"),
        *("--mca", "plm_rsh_no_tree_spawn", "1"),  # only the leader knows how to reach the others
        *("--mca", "orte_leave_session_attached", "1"),  # a daemon that dies is noticed
        *(argument for name in sorted(os.environ) if _passed_on(name) for argument in ("-x", name)),
    ]


def _passed_on(name: str) -> bool:
    return name in ("HOME", "USER", "PATH", "LD_LIBRARY_PATH") or name.startswith(
        ("NCCL_", "FI_", "TRTLLM_", "LLM_", "HF_", "XDG_", "TORCHINDUCTOR_", "TRITON_", "FLASHINFER_")
    )


def _reachable(host: str, deadline: float) -> bool:
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, PORT), timeout=5):
                return True
        except OSError:
            time.sleep(1)
    return False


def main(arguments: list[str]) -> int:
    """The command line."""
    match arguments:
        case ["work"]:
            return work()
        case ["lead", *program] if program:
            return lead(program)
        case ["shell", host, *words] if words:
            return shell([host, *words])
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
