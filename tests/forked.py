"""Programs in real processes, forked from a server that has the imports done: a start costs nothing, a kill is real."""

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import accelerate.tracking  # noqa: F401  (what the programs need is imported once, by the fork server)
import docstring_parser  # noqa: F401
import jsonargparse  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import pandas  # noqa: F401
import pytest  # noqa: F401
import sklearn.metrics  # noqa: F401
import torch
from transformers import BertForSequenceClassification, ViTForImageClassification  # noqa: F401

from hf_attn.interface import arguments
from hf_attn.recipes import image_classification, recommendation, text_classification  # noqa: F401


def context() -> multiprocessing.context.ForkServerContext:
    """Processes that are forked from the server."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    os.environ["OMP_NUM_THREADS"] = "1"
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["forked"])
    return server


def start(main: Callable, argv: Sequence[str], output: Path, processes: int = 1) -> list[BaseProcess]:
    """Start ``main(argv)`` of a module as a command; what it prints is added to the file ``output``."""
    server = context()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    for rank in range(processes):
        environment = {"ACCELERATE_USE_CPU": "true"}
        if processes > 1:
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
            environment |= {"LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        process = server.Process(target=_command, args=(main, list(argv), environment, str(output)))
        process.start()
        started.append(process)
    return started


def finish(started: list[BaseProcess]) -> list[int | None]:
    """Wait for the processes; their exit statuses."""
    for process in started:
        process.join(240)
    return [process.exitcode for process in started]


def kill(started: list[BaseProcess]) -> list[int | None]:
    """End the processes by SIGKILL; their exit statuses."""
    for process in started:
        process.kill()
    return finish(started)


def run(main: Callable, argv: Sequence[str], output: Path, processes: int = 1) -> str:
    """Run ``main(argv)``, which has to succeed in every process; what was printed."""
    statuses = finish(start(main, argv, output, processes))
    assert statuses == [0] * processes, output.read_text()[-3000:]
    return output.read_text()


def _command(main: Callable, argv: list[str], environment: dict[str, str], output: str) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.argv = [main.__module__, *argv]
    with open(output, "a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    arguments.command_line(main)
