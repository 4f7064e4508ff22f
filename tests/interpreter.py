"""Programs in clean processes, as ``subprocess.run([sys.executable, …])`` gives, forked from one that has torch.

Transformers, its neighbours and hf_attn are imported by the program itself: its environment and its order count.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

IMPORTED = (
    "torch",
    "torch._dynamo",
    "torch.distributed",
    "pandas",
    "scipy.stats",
    "sklearn.metrics",
    "pyarrow.parquet",
)
_server: list[subprocess.Popen] = []


def run(
    argv: Sequence[Any],
    env: Mapping[str, str] | None = None,
    cwd: Any = None,
    input: str = "",
    timeout: int = 240,
    check: bool = False,
) -> subprocess.CompletedProcess:
    """Run ``python`` with the words that follow it (``-c`` code, ``-m`` module or a file); its output is captured."""
    if not _server:
        _server.append(
            subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        atexit.register(_server[0].communicate)
    words = [str(word) for word in argv]
    with tempfile.TemporaryDirectory() as folder:
        streams = [str(Path(folder, name)) for name in ("stdin", "stdout", "stderr")]
        Path(streams[0]).write_text(input)
        asked = {"argv": words, "env": dict(env or os.environ), "cwd": str(cwd or os.getcwd()), "streams": streams}
        print(json.dumps({**asked, "timeout": timeout}), file=_server[0].stdin, flush=True)
        status = int(_server[0].stdout.readline())
        out, err = (Path(stream).read_text() for stream in streams[1:])
    if check and status:
        raise AssertionError(f"{words} ended with {status}:\n{err}")
    return subprocess.CompletedProcess(words, status, out, err)


def _child(argv: list[str], env: dict[str, str], cwd: str, streams: list[str], timeout: int) -> int:
    """Be the program; its exit status. An interpreter with all of torch in it takes two seconds to be taken apart."""
    for number, stream in enumerate(streams):
        os.dup2(os.open(stream, os.O_RDWR | os.O_CREAT), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    signal.alarm(timeout)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    paths = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    how, *words = argv
    what, *words = words if how in ("-c", "-m") else ["", *words]
    sys.path[:1] = ["" if how == "-c" else cwd if how == "-m" else str(Path(how).parent), *paths]
    sys.argv = ["-c" if how == "-c" else how, *words]
    try:
        _run(how, what)
    except SystemExit as end:
        return _status(end.code)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _status(code: Any) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


def _run(how: str, what: str) -> None:
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif how == "-c":
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    else:
        sys.modules["__main__"] = types.ModuleType("__main__")
        runpy.run_path(how, run_name="__main__")


def _serve() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(_child(**json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
