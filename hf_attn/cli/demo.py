"""The command ``hf-attn demo``: a page on this machine, to try a model on."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import threading
from typing import TYPE_CHECKING

from ..errors import InputError
from .explanation import METHODS
from .parser import Parser

if TYPE_CHECKING:
    from gradio import Blocks

HOST = "127.0.0.1"
"""The app is for this machine alone."""
PORT = 7860
TRIED = 100
"""Ports that are tried, from the one that is asked for."""
TRIALS = 3
"""Times that the server is started."""


def demo_command(argv: list[str]) -> None:
    """Try a model in the browser: what it answers, which parts that comes from, and whether to believe it."""
    parser = Parser(
        prog="hf-attn demo",
        description=demo_command.__doc__,
        epilog="It serves 127.0.0.1 alone, sends nothing elsewhere, and needs gradio: pip install 'hf_attn[demo]'\n"
        "example:\n  hf-attn demo runs/banking",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("run", help="run folder, other model folder, or Hub id")
    option(
        "--port", type=int, default=PORT, metavar="N", help=f"port, or the next that is free (default: {PORT}, as it)"
    )
    option(
        "--method",
        metavar="NAME",
        help=f"method that is chosen at first, one of {METHODS} (default: what `hf-attn faithfulness` found best for "
        "the run, else integrated_gradients)",
    )
    given = parser.parse_args(argv)
    if importlib.util.find_spec("gradio") is None:
        raise InputError("hf-attn demo needs gradio: pip install 'hf_attn[demo]'")
    free_port(given.port)
    serve(app_of(given.run, given.method), given.port)


def app_of(run: str, method: str | None) -> Blocks:
    """Return the app of a run.

    Raises:
        InputError: no such model or method.
    """
    from transformers.utils.logging import disable_progress_bar

    from ..explain.demo import build
    from ..explain.methods import method_of
    from ..tasks.predict import load
    from ..tasks.table import task_of
    from .explanation_files import best_of

    name = method_of(method or best_of(run)).name
    disable_progress_bar()
    model, processor = load(run)
    return build(model, processor, method=name, pairs=task_of(model).input.trained_on_pairs(run))


def serve(app: Blocks, port: int) -> None:
    """Serve an app to this machine until Ctrl-C."""
    os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), HOST)))  # gradio asks its own server
    for left in reversed(range(TRIALS)):
        try:
            url = _launched(app, free_port(port))
            break
        except OSError:  # somebody was quicker at the port, or the server took longer than gradio's five seconds
            if not left:
                raise
    print(f"{url} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    finally:
        app.close(verbose=False)


def _launched(app: Blocks, port: int) -> str:
    _, url, _ = app.launch(
        server_name=HOST,
        server_port=port,
        share=False,
        ssr_mode=False,
        inbrowser=False,
        quiet=True,
        footer_links=[],
        prevent_thread_lock=True,
    )
    return str(url)


def free_port(first: int) -> int:
    """Return a port of this machine that nobody listens on: the first, or the next that is free.

    Raises:
        InputError: there is none.
    """
    if not 1 <= first <= 65535:
        raise InputError(f"--port {first}: expected 1 to 65535")
    for port in range(first, min(first + TRIED, 65536)):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return port
    raise InputError(f"--port {first}: no port from there on is free or may be used: give another")
