"""A full disk, and SIGKILL at a write: nothing earlier is lost, and the next start tells what is so."""

import json
import os
import resource
import signal
from pathlib import Path

import forked
import pytest
from accelerate import Accelerator
from run_records import Config, made_up
from tiny_bert import save_tiny_bert
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_attn.errors import InputError
from hf_attn.interface import whole_files
from hf_attn.runs.folder import finish
from hf_attn.training import output
from hf_attn.training.run_files import digest, is_run, record


def main(argv):
    """Save a model as a run: killed before ``place`` is there, or on a disk that takes files of ``limit`` bytes."""
    folder, place, limit = Path(argv[0]), argv[1], int(argv[2])
    source = save_tiny_bert(folder.parent / "source", names=("no", "yes"))
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    config = Config(output_dir=str(folder), resume=folder.exists())
    config.recipe = "text_classification"
    accelerator = Accelerator(cpu=True)
    output.claim(config)
    original = os.replace

    def replace(one, other):
        if Path(other).name == place:
            os.kill(os.getpid(), signal.SIGKILL)
        original(one, other)

    os.replace = replace
    made = made_up(folder, config=config)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    finish(model, tokenizer, made, accelerator)


def program(folder, place="", limit=0):
    said = folder.parent / "said"
    said.unlink(missing_ok=True)
    (status,) = forked.finish(forked.start(main, [str(folder), place, str(limit)], said))
    return status, said.read_text()


def next_start(folder):
    config = Config(output_dir=str(folder))
    config.recipe = "text_classification"
    with pytest.raises(InputError) as raised:
        output.check(config)
    return str(raised.value)


def whole(folder):
    facts = record(folder)
    return facts and all(digest(folder / name) == value for name, value in facts["files"].items())


@pytest.mark.parametrize("place", ["model.safetensors", "README.md", "run.json"])
def test_a_run_killed_at_a_write_is_known_and_completed_later(tmp_path, place):
    folder = tmp_path / "run"
    assert program(folder, place=place)[0] == -signal.SIGKILL
    assert is_run(folder) and not (folder / place).exists() and not record(folder)
    assert "holds a run that did not end" in next_start(folder)
    status, said = program(folder)
    assert status == 0, said
    assert whole(folder) and "holds a run that ended" in next_start(folder)
    assert not [path.name for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name == whole_files.STAGE]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "log.jsonl"}
    program(folder, place="README.md")
    kept = {path for path, content in before.items() if path.read_bytes() == content}
    assert folder / "README.md" in kept and folder / "run.json" in kept and folder / "config.yaml" in kept


@pytest.mark.parametrize("limit", [2_000, 20_000])
def test_a_full_disk_is_one_line_and_leaves_nothing_cut_short(tmp_path, limit):
    folder = tmp_path / "run"
    status, said = program(folder, limit=limit)
    assert status == 1 and "Traceback" not in said
    assert f"error: {folder} could not be completed (File too large)" in said.splitlines()[-1]
    assert "go on with --resume" in said
    assert not record(folder) and "did not end" in next_start(folder)
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    assert program(folder)[0] == 0 and whole(folder)


def test_what_stood_there_stays_where_a_write_fails(tmp_path):
    (tmp_path / "a").write_text("before")
    with pytest.raises(OSError, match="full"), whole_files.whole(tmp_path / "a") as place:
        place.write_text("half")
        raise OSError("full")
    assert (tmp_path / "a").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    whole_files.beside(tmp_path / "a").symlink_to(tmp_path / "precious")
    whole_files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "precious").read_text() == "mine" and (tmp_path / "a").read_text() == "new"
    assert not (tmp_path / "a").is_symlink()
