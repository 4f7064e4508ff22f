"""One run at a time in a folder: a lock that the system takes back from a process that was killed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ..errors import InputError

LOCK = ".run.lock"
HELD_ELSEWHERE = {errno.EACCES, errno.EAGAIN}
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


@dataclass
class Held:
    """A lock of this process."""

    file: IO[str]
    process: int
    thread: threading.Thread
    owner: object


_held: dict[Path, Held] = {}


def take(folder: Path) -> object:
    """Take the folder for this process, and return what :func:`release` needs.

    The lock is one of POSIX, on a file in the folder: the kernel, or the server of a network's file system, takes it
    back when the process ends, however it ends. Where a file system has no locks, the file's content decides: host and
    process of who took it. A process that has the folder already may take it again.

    Raises:
        InputError: another process, or another thread of this one, has it.
        OSError: the file cannot be written.
    """
    folder, owner = folder.resolve(), object()
    held = _held.get(folder)
    if held and held.process == os.getpid():
        if held.thread is not threading.current_thread() and held.thread.is_alive():
            raise InputError(_refusal(folder, {"pid": held.process, "host": "this machine"}))
        held.thread, held.owner = threading.current_thread(), owner
        return owner
    file = _locked(folder)
    file.seek(0)
    file.truncate()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": now}))
    file.flush()
    _held[folder] = Held(file, os.getpid(), threading.current_thread(), owner)
    return owner


def is_held(folder: Path) -> bool:
    """Return whether this process has the folder."""
    held = _held.get(folder.resolve())
    return held is not None and held.process == os.getpid()


def release(folder: Path, owner: object) -> None:
    """Give the folder back, unless it was taken again since; what another process holds stays."""
    folder = folder.resolve()
    held = _held.get(folder)
    if held is None or held.process != os.getpid() or held.owner is not owner:
        return
    del _held[folder]
    with contextlib.suppress(OSError):
        if _is_at(held.file, folder / LOCK):
            (folder / LOCK).unlink()
    held.file.close()


def _locked(folder: Path) -> IO[str]:
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        file = os.fdopen(handle, "r+", encoding="utf-8", errors="replace")
        try:
            supported = _lock(folder, file)
            if not supported:
                _look_at_content(folder, file)
        except InputError:
            file.close()
            raise
        if not supported or _is_at(file, path):
            return file
        file.close()  # released and deleted between our opening and our locking it


def _lock(folder: Path, file: IO[str]) -> bool:
    """Lock the file; False where its file system has no locks."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD_ELSEWHERE:
            raise InputError(_refusal(folder, _holder(file))) from None
        if error.errno in NO_LOCKS:
            return False
        raise
    return True


def _look_at_content(folder: Path, file: IO[str]) -> None:
    holder = _holder(file)
    here = holder.get("host") == socket.gethostname()
    if holder and not (here and not _is_alive(holder.get("pid"))):
        advice = "" if here else f"; if that run is over, delete {folder / LOCK}"
        raise InputError(_refusal(folder, holder) + advice)


def _holder(file: IO[str]) -> dict[str, Any]:
    for _ in range(5):  # whoever has just taken it is about to write
        file.seek(0)
        try:
            found = json.loads(file.read(1000))
            return found if isinstance(found, dict) else {}
        except ValueError:
            time.sleep(0.02)
    return {}


def _is_alive(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _refusal(folder: Path, holder: dict[str, Any]) -> str:
    since = f" since {holder['since']}" if holder.get("since") else ""
    who = f" (process {holder.get('pid')} on {holder.get('host')}{since})" if holder else ""
    return f"another run is writing to output_dir {folder}{who}: wait for its end, or choose another --output_dir"
