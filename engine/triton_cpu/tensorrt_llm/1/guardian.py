"""What ends the server when the engine's process dies.

Triton 2.51 stays ready, and lets requests hang, after the process of a Python model was killed, e.g. for memory.
"""

import subprocess


class Guardian:
    """A small process that asks the server to stop as soon as this process is gone without having dismissed it.

    The kernel closes our end of its pipe, however we end. The signal is SIGTERM: in a container the server is
    process 1, which SIGKILL from inside does not reach; Triton turns unready at once and exits.
    """

    def __init__(self, server: int) -> None:
        script = f"read dismissed || kill -TERM {server}"
        # A session of its own: signals for the server's process group are not meant for it.
        self._process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)

    def dismiss(self) -> None:
        """End the watch; this process is going to stop in good order."""
        self._process.communicate(b"dismissed\n")
