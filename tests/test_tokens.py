"""A token of the Hub inside another program's error: in no message, no log, no card."""

import json
import logging
import sys

import pytest
from huggingface_hub.errors import HfHubHTTPError, Response
from run_records import Config, made_up

from hf_attn.errors import InputError
from hf_attn.interface import arguments
from hf_attn.interface.printable import without_tokens
from hf_attn.runs import hub
from hf_attn.runs.folder import describe
from hf_attn.tasks.targets.labels import load_splits

httpx = sys.modules[Response.__module__.partition(".")[0]]  # or httpx2: the client that the Hub's library uses
TOKEN, OWN = "hf_" + "aB3" * 12, "a token of another form"


def answer(status, text):
    response = httpx.Response(status, request=httpx.Request("GET", f"https://hub/x?token={TOKEN}"))
    return HfHubHTTPError(text, response=response)


ERRORS = [
    *(answer(status, f"refused {TOKEN} and {OWN}") for status in (400, 401, 403, 404, 409, 422, 500, 503)),
    ValueError(f"README.md: bad metadata of {TOKEN}\nand {OWN}"),
    ConnectionError(f"cannot reach https://user:{TOKEN}@hub {OWN}"),
    httpx.ConnectError(f"Authorization: Bearer {TOKEN} {OWN}"),
    RuntimeError(f"header {{'authorization': 'Bearer {OWN}'}}"),
    KeyError(TOKEN),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_push_that_fails_says_why_without_the_token(tmp_path, error):
    with pytest.raises((InputError, RuntimeError)) as caught, hub.hub_errors("ada/cards", tmp_path, OWN):
        raise error
    assert TOKEN not in str(caught.value) and OWN not in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ and caught.value.__cause__ is None


def test_an_error_without_a_token_is_raised_as_it_is(tmp_path):
    error = KeyError("x")
    with pytest.raises(KeyError) as caught, hub.hub_errors("ada/cards", tmp_path, OWN):
        raise error
    assert caught.value is error


def test_a_dataset_that_does_not_load_says_why_without_the_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", OWN)

    def fails(*args, **kwargs):
        raise ValueError(f"401 for Bearer {TOKEN} or {OWN}")

    monkeypatch.setattr("datasets.load_dataset", fails)
    monkeypatch.setattr("hf_attn.data.hub_datasets.use_cache_if_unreachable", lambda: True)
    with pytest.raises(InputError, match="does not load: 401 for Bearer hf_… or hf_…") as caught:
        load_splits("ada/texts", label="label")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("error", [InputError, FloatingPointError])
def test_whatever_a_program_says_is_without_tokens(monkeypatch, capsys, error):
    def main(argv):
        logging.getLogger("hf_attn.data").warning("read with %s", TOKEN)
        raise error(f"model {TOKEN} is none; {OWN} neither")

    monkeypatch.setenv("HF_TOKEN", OWN)
    monkeypatch.setattr(sys, "argv", ["hf-attn"])
    with pytest.raises(SystemExit):
        arguments.command_line(main)
    said = capsys.readouterr().err
    assert "read with hf_…" in said and "error: model hf_… is none; hf_… neither" in said


def test_only_what_is_a_token_is_hidden(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    text = "hf_attn and hf_attn_bert and hf_hub"
    assert without_tokens(text) == without_tokens(text, None, "") == text
    assert without_tokens(f"({TOKEN})") == "(hf_…)"


def test_a_card_and_a_record_hold_no_token(tmp_path):
    config = Config(output_dir=str(tmp_path), model=f"https://ada:{TOKEN}@hub/ada/m", dataset=f"hf://{TOKEN}/mails")
    record = made_up(tmp_path, config=config, report=f"loaded with {TOKEN}", dataset_licence=TOKEN)
    describe(tmp_path, record)
    assert TOKEN.encode() not in (tmp_path / "README.md").read_bytes()
    facts = json.loads((tmp_path / "run.json").read_text())
    assert TOKEN not in json.dumps(facts) and facts["arguments"]["model"] == "https://ada:hf_…@hub/ada/m"
