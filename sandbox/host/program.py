"""Runs one Pulumi program in its own process, and shows its errors the way a person needs them.

Started by path, so that it needs nothing but the SDK in the program's own interpreter. The request comes over a
pipe and not over the environment: it holds the configuration's secrets in clear.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import logging
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

# The program showed its own error; the host then tells the engine to add nothing.
SHOWN = 32


def main() -> None:
    """Run the program that the request on the inherited pipe names; never returns.

    With `--warm` wait for requests on a listening socket, and fork for each (see warm.py).
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    if sys.argv[1] == "--warm":
        _serve(int(sys.argv[2]), sys.argv[3])
    pipe = int(sys.argv[1])
    _finish(json.loads(_line(pipe)), pipe)


def _finish(request: dict[str, Any], pipe: int, answer: socket.socket | None = None) -> NoReturn:
    threading.Thread(target=_die_with_the_host, args=(pipe,), daemon=True).start()
    code = _run(request)
    _remember(request["modules_file"])
    sys.stdout.flush()
    sys.stderr.flush()
    if answer is not None:
        with contextlib.suppress(OSError):
            answer.sendall(b"%d\n" % code)
    # Everything is said and registered: skip the interpreter's slow farewell.
    os._exit(code)


def _serve(descriptor: int, modules: str) -> NoReturn:
    """Import, then fork for every request, until the command that started us ends."""
    with socket.socket(fileno=descriptor) as listener:
        _import(modules)
        if len(os.listdir("/proc/self/task")) > 1:
            os._exit(1)  # a module started a thread: a fork would lose it. The host starts a runner of its own.
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([listener, 0], [], [])
            if listener not in ready:
                os._exit(0)
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                continue
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            first, descriptors, _, _ = socket.recv_fds(connection, 1, 2)
            request = json.loads(first + _line(connection.fileno()))
            for target, source in zip((1, 2), descriptors, strict=True):
                os.dup2(source, target)
                os.close(source)
            os.environ.clear()
            os.environ.update(request["environment"])
            os.chdir(request["pwd"])
            connection.sendall(b"+")  # taken
            _finish(request, connection.fileno(), connection)


def _import(modules: str) -> None:
    """What every program needs, and what this one imported last time."""
    import grpc
    import pulumi

    _ = grpc, pulumi
    try:
        names = json.loads(Path(modules).read_text())
    except (OSError, ValueError):
        return
    for name in names:
        with contextlib.suppress(Exception):  # an upgrade took it away; the program will tell if that matters
            # The SDKs' modules are lazy, and a module inside one that is not loaded yet would be half of it for ever.
            # Any attribute loads one, except those that debuggers look at.
            _ = hasattr(importlib.import_module(name), "loaded")


def _remember(modules: str) -> None:
    """Keep the names of the installed packages' modules that were imported."""
    names = [
        name
        for name, module in list(sys.modules.items())
        if type(module).__name__ == "module"
        and (getattr(module, "__file__", None) or "").startswith(sys.prefix)
        and _importable(name, module)
    ]
    path, text = Path(modules), json.dumps(names)
    with contextlib.suppress(OSError):
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}")
            part.write_text(text)
            part.replace(path)


def _importable(name: str, module: object) -> bool:
    """Whether importing a module by its name leaves everything as the program had it.

    A package may have put a class where its module of the same name stood (pulumi_kubernetes does); importing that
    module by name could put it back.
    """
    parent, _, last = name.rpartition(".")
    return not name.startswith("_") and getattr(sys.modules.get(parent), last, module) is module


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
