"""A Hub that does not answer is asked once, and costs seconds; what is in the cache still loads."""

import os
import socket
import sys
import time

import interpreter
import pytest
from huggingface_hub import constants
from tiny_bert import save_tiny_bert

from hf_attn.errors import InputError
from hf_attn.interface import hub_connection

PROGRAM = """
import time
import hf_attn, transformers
from hf_attn.tasks.targets.labels import load_splits
start = time.perf_counter()
for use in (lambda: hf_attn.load("ada/never-seen"), lambda: hf_attn.load("ada/tiny", labels=2),
            lambda: load_splits("ada/texts")):
    try:
        print(type(use()).__name__)
    except hf_attn.InputError as error:
        print(error)
print(time.perf_counter() - start)
"""


@pytest.fixture
def fresh(monkeypatch):
    """The module as it is before the Hub was ever asked, and settings put back afterwards."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_connection, "_answered", False)
    monkeypatch.setattr(hub_connection, "_switched_off", False)
    datasets = sys.modules.get("datasets")
    if datasets:
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)


def in_cache(folder, name):
    """Put a tiny model where the Hub's client keeps its downloads."""
    home = folder / f"models--{name.replace('/', '--')}"
    save_tiny_bert(home / "snapshots" / ("0" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0" * 40)


def test_a_hub_out_of_reach_costs_seconds_and_the_cache_still_serves(tmp_path):
    in_cache(tmp_path / "hub", "ada/tiny")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "OMP_NUM_THREADS": "1"}
    done = interpreter.run(["-c", PROGRAM], environment, check=True)
    nowhere, cached, data, seconds = done.stdout.splitlines()
    assert (
        "ada/never-seen" in nowhere and "the Hub cannot be reached" in nowhere and "offline, give a folder" in nowhere
    )
    assert cached == "BertForSequenceClassification"
    assert "the Hub cannot be reached or does not have it" in data
    assert float(seconds) < 15 and "Retrying" not in done.stderr


def test_a_hub_that_never_answers_is_waited_for_once(fresh, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(hub_connection, "TIMEOUT", 0.3)
        start = time.perf_counter()
        with pytest.raises(InputError, match="cannot be reached"):
            hub_connection.check_reachable("ada/tiny", tmp_path)
        assert time.perf_counter() - start < 3


def test_the_hub_is_asked_again_until_it_answers_and_then_no_more(fresh, monkeypatch):
    asked = []

    class Session:
        def head(self, address, timeout):
            asked.append(constants.HF_HUB_OFFLINE)
            if len(asked) < 3:
                raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.utils.get_session", Session)
    assert [hub_connection.use_cache_if_unreachable() for _ in range(5)] == [False, False, True, True, True]
    assert asked == [False, False, False] and constants.HF_HUB_OFFLINE is False


def test_what_the_user_set_offline_stays_so_and_is_not_asked(fresh, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: pytest.fail("the Hub was asked"))
    assert hub_connection.use_cache_if_unreachable() is False
