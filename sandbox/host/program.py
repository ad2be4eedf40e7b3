"""Runs one Pulumi program in its own process, and shows its errors the way a person needs them.

Started by path, so that it needs nothing but the SDK in the program's own interpreter. The request comes over a
pipe and not over the environment: it holds the configuration's secrets in clear.
"""

import asyncio
import json
import logging
import os
import runpy
import signal
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# The program showed its own error; the host then tells the engine to add nothing.
SHOWN = 32


def main() -> None:
    """Run the program that the request on the inherited pipe names; never returns."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    pipe = int(sys.argv[1])
    request = json.loads(_line(pipe))
    threading.Thread(target=_die_with_the_host, args=(pipe,), daemon=True).start()
    code = _run(request)
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is said and registered: skip the interpreter's slow farewell.
    os._exit(code)


def _line(pipe: int) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        chunk = os.read(pipe, 1 << 16)
        if not chunk:
            os._exit(1)
        data += chunk
    return data


def _die_with_the_host(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    os._exit(1)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(130)


def _run(request: dict[str, Any]) -> int:
    import grpc
    import pulumi
    from pulumi import runtime

    folder, entry = request["program_directory"], request["entry_point"]
    path = os.path.normpath(os.path.join(folder, entry))
    sys.argv = [path, *request["args"]]
    sys.path.insert(0, path if os.path.isdir(path) else os.path.dirname(path))
    runtime.reset_options(
        project=request["project"],
        stack=request["stack"],
        root_directory=request["root_directory"],
        parallel=request["parallel"],
        engine_address=request["engine_address"],
        monitor_address=request["monitor_address"],
        preview=request["dry_run"],
        organization=request["organization"],
    )
    runtime.set_all_config(request["config"], request["secret_keys"])
    # An exception that nobody awaited is shown once, by us, and not by asyncio as well.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=max(1, request["parallel"]) * 4))

    def program() -> None:
        runpy.run_path(path, run_name="__main__")

    try:
        loop.run_until_complete(runtime.run_in_stack(program))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return SHOWN
    except grpc.RpcError as error:
        code = error.code() if isinstance(error, grpc.Call) else None
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            return SHOWN  # the engine is going away and has said why
        pulumi.log.error(str(error.details() if isinstance(error, grpc.Call) else error))
        return SHOWN
    except SystemExit as error:
        if error.code in (None, 0):
            return 0
        text = error.code if isinstance(error.code, str) else f"the program exited with code {error.code}"
        pulumi.log.error(text)
        return SHOWN
    except BaseException as error:  # whatever it is, the person gets the program's own traceback
        pulumi.log.error("the program failed:\n" + trace(error, Path(folder)))
        return SHOWN
    return 0


def trace(error: BaseException, folder: Path) -> str:
    """The traceback of `error` from the first line of the program on, without the runner's own frames."""
    first: TracebackType | None = error.__traceback__
    while first is not None and not Path(first.tb_frame.f_code.co_filename).is_relative_to(folder):
        first = first.tb_next
    lines = traceback.format_exception(type(error), error, first or error.__traceback__)
    return "".join(lines).rstrip()


if __name__ == "__main__":
    main()
