"""The progress of a run: written over on a terminal, in the file of a log some tens of lines at most."""

import io
import re
import sys

import interpreter
import pytest
from bad_data import CSV, put
from tiny_bert import save_tiny_bert
from tqdm.auto import tqdm

from hf_attn.interface import progress

STEPS = 1000


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told to."""
    clock = type("Clock", (), {"now": 1000.0, "__call__": lambda self: self.now})()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def written(monkeypatch, clock, file, seconds, stop=STEPS, **options):
    monkeypatch.setattr(sys, "stderr", file)
    with progress.bar(total=STEPS, unit="step", **options) as bar:
        for step in range(stop):
            clock.now += seconds
            bar.update()
            bar.set_postfix(loss=f"{1 / (step + 1):.4g}", refresh=False)
    return file.getvalue()


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.001, 2, 2), (0.16, 14, 18), (1.0, 48, 52), (60.0, 48, 52)])
def test_a_log_gets_a_line_now_and_then(monkeypatch, clock, seconds, least, most):
    text = written(monkeypatch, clock, io.StringIO(), seconds)
    lines = text.splitlines()
    assert least <= len(lines) <= most and "\r" not in text and text.endswith("\n") and all(lines)
    steps = [int(re.search(r"(\d+)/1000", line)[1]) for line in lines]
    assert steps[0] == 0 and steps[-1] == STEPS and steps == sorted(set(steps))
    assert all((after - before) * seconds >= 10 - 1e-6 for before, after in zip(steps, steps[1:-1], strict=False))


def test_a_line_says_what_the_bar_of_a_terminal_says(monkeypatch, clock):
    lines = written(monkeypatch, clock, io.StringIO(), 1.0).splitlines()
    bar = written(monkeypatch, clock, Terminal(), 1.0).replace("\n", "").split("\r")
    assert set(lines[1:]) <= {line.rstrip() for line in bar}
    assert re.fullmatch(r" 50%\|.* 500/1000 \[08:20<08:20,  1\.00step/s, loss=0\.002\d*\]", lines[25])


def test_on_a_terminal_the_bar_is_tqdms_own(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.bar(range(3)) as bar:
        assert type(bar) is tqdm and list(bar) == [0, 1, 2]
    assert "\r" in sys.stderr.getvalue()


def test_what_ends_early_shows_how_far_it_came(monkeypatch, clock):
    lines = written(monkeypatch, clock, io.StringIO(), 0.16, stop=500).splitlines()
    assert "500/1000" in lines[-1]


def test_a_bar_that_does_not_stay_is_seen_only_if_it_lasts(monkeypatch, clock):
    assert written(monkeypatch, clock, io.StringIO(), 0.001, leave=False) == ""
    assert 3 < len(written(monkeypatch, clock, io.StringIO(), 0.1, leave=False).splitlines()) < 12
    assert written(monkeypatch, clock, io.StringIO(), 1.0, disable=True) == ""


def test_a_loop_over_a_bar_is_one_over_what_it_was_given(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(progress.bar(range(7))) == list(range(7))
    assert [line.split("|")[2].split()[0] for line in sys.stderr.getvalue().splitlines()] == ["0/7", "7/7"]


def test_the_log_of_a_run_is_short(tmp_path):
    data = put(tmp_path, "d.csv", CSV * 1 + "".join(f"more {row},{'ab'[row % 2]}\n" for row in range(400)))
    command = ["-m", "hf_attn.cli", "text_classification", "--model", save_tiny_bert(tmp_path / "m"), "--dataset", data]
    command += ["--output_dir", tmp_path / "run", "--epochs", 1, "--batch_size", 2, "--precision", "no"]
    done = interpreter.run(command, check=True)
    lines = done.stderr.replace("\r", "\n").splitlines()
    bars = [line for line in lines if re.search(r"\d+%\|", line)]
    assert "100%|" in bars[-1] and "loss=" in bars[-1] and len(bars) <= 12 and all("step" in line for line in bars)
