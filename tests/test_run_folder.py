"""What is not a run's is never deleted, followed or written through, and one run at a time writes to a folder."""

import json
import logging
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from training_job import job_arguments, run

from hf_attn import training
from hf_attn.errors import InputError
from hf_attn.training import output, run_files, run_lock


@pytest.fixture
def config(tmp_path):
    return job_arguments(tmp_path)


@pytest.fixture
def ended(config, tmp_path):
    """Arguments of a run that ended in ``tmp_path/one``, and the folder."""
    arguments = config(output_dir=str(tmp_path / "one"), epochs=0.2)
    run(arguments)
    return arguments, tmp_path / "one"


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def project(folder, files):
    for name, text in {"README.md": "mine", "figures/plot.png": "mine", "checkpoints/best.pt": "mine", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


OURS = yaml.safe_dump({"recipe": "job", "output_dir": ".", "resume": False, "overwrite": False, "seed": 0})
PROJECTS = {
    "config of something else": {"config.yaml": "site: mkdocs\n"},
    "config and a log of something else": {"config.yaml": "recipe: pancakes\n", "log.jsonl": '{"step": 1}\n'},
    "config that names a class": {"config.yaml": "!!python/object:os.system {recipe: a}\n", "log.jsonl": ""},
    "arguments of a recipe alone": {"config.yaml": OURS},
    "arguments and a log of something else": {"config.yaml": OURS, "log.jsonl": '{"level": "info"}\n'},
    "arguments and a run.json of something else": {"config.yaml": OURS, "run.json": '{"recipe": "x"}'},
    "config that is no text": {"config.yaml": "\0\1"},
    "no config": {},
}


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.parametrize("option", ["overwrite", "resume", None])
def test_a_project_is_never_taken_for_a_run(config, tmp_path, monkeypatch, name, option):
    folder = project(tmp_path / "project", PROJECTS[name])
    before = tree(folder)
    monkeypatch.chdir(folder)
    for place in (".", str(folder)):
        with pytest.raises(InputError, match="something else"):
            training.start(config(output_dir=place, **({option: True} if option else {})))
    assert tree(folder) == before


def test_an_overwrite_deletes_what_a_run_wrote_and_names_it_first(config, ended, caplog):
    arguments, folder = ended
    mine = {"notes.txt", "figures/mine.png", "checkpoints/mine.pt", "checkpoints/kept.old/a", "data/train.csv"}
    for name in mine:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    written = {"model.safetensors", "log.jsonl", "config.yaml", "checkpoints/00000002"}
    with caplog.at_level(logging.WARNING):
        training.start(config(output_dir=str(folder), epochs=0.2, seed=5, overwrite=True))
    (said,) = [record.getMessage() for record in caplog.records if "--overwrite deletes" in record.getMessage()]
    assert set(said.split("--overwrite deletes ")[1].split(", ")) == written
    run(config(output_dir=str(folder), epochs=0.2, seed=5, overwrite=True))
    assert {name for name in mine if (folder / name).read_text() == "mine"} == mine
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 5


def test_a_link_to_a_file_goes_and_what_it_points_to_stays(config, ended, tmp_path):
    _, folder = ended
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("model.safetensors", "log.jsonl"):
        (folder / name).unlink()
        (folder / name).symlink_to(precious)
    (folder / "run.json").write_text(json.dumps({"recipe": "job", "arguments": {}, "versions": {}}))
    run(config(output_dir=str(folder), epochs=0.2, overwrite=True))
    assert precious.read_text() == "mine" and not (folder / "log.jsonl").is_symlink()


@pytest.mark.parametrize("name", ["checkpoints", "figures"])
@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_a_link_to_a_folder_is_refused(config, ended, tmp_path, name, option):
    _, folder = ended
    project(tmp_path / "elsewhere", {"00000002/model.safetensors": "mine", "curves.png": "mine"})
    before = tree(tmp_path / "elsewhere")
    if (folder / name).exists():
        (folder / name).rename(tmp_path / "moved")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"{name} is a symbolic link to a folder"):
        training.start(config(output_dir=str(folder), epochs=0.2, **{option: True}))
    assert tree(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("name", ["README.md", "checkpoints/00000002/notes.txt", "predictions.parquet"])
def test_what_stands_where_a_run_writes_and_is_not_its_own_is_refused(config, ended, name):
    _, folder = ended
    if name == "predictions.parquet":
        (folder / name).mkdir()
    else:
        (folder / name).write_text("mine")
    with pytest.raises(InputError, match=name):
        training.start(config(output_dir=str(folder), epochs=0.2, overwrite=True))
    assert (folder / name).is_dir() or (folder / name).read_text() == "mine"


def test_a_file_that_was_changed_since_the_run_wrote_it_is_kept(config, ended):
    _, folder = ended
    (folder / "README.md").write_text("---\ntags:\n- hf_attn\n---\nfirst")
    facts = {
        "recipe": "job",
        "arguments": {},
        "versions": {},
        "files": run_files.digests(folder, [folder / "README.md"]),
    }
    (folder / "run.json").write_text(json.dumps(facts))
    output.check(config(output_dir=str(folder), epochs=0.2, overwrite=True))
    (folder / "README.md").write_text("---\ntags:\n- hf_attn\n---\nedited by hand")
    with pytest.raises(InputError, match=r"README\.md was changed since the run wrote it"):
        output.check(config(output_dir=str(folder), epochs=0.2, overwrite=True))


@pytest.mark.parametrize("kind", ["home", "root", "file", "empty", "nul", "dangling link", "name too long"])
def test_places_that_no_run_is_written_to_are_one_line(config, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    places = {"home": str(tmp_path), "root": "/", "file": str(tmp_path / "file"), "empty": " ", "nul": "a\0b"}
    places |= {"dangling link": str(tmp_path / "dangling"), "name too long": str(tmp_path / ("x" * 300))}
    with pytest.raises(InputError, match="output_dir") as raised:
        training.start(config(output_dir=places[kind]))
    assert len(str(raised.value).splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_tilde_is_the_home_folder(config, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config(output_dir="~/runs/a").output_dir == str(tmp_path / "runs" / "a")


def test_an_overwrite_never_deletes_what_it_reads(config, ended):
    from dataclasses import dataclass

    @dataclass(kw_only=True)
    class WithModel(training.TrainConfig):
        model: str

    _, folder = ended
    for model in (folder, folder / "checkpoints" / "00000002", folder / "model.safetensors"):
        arguments = WithModel(model=str(model), output_dir=str(folder), overwrite=True)
        with pytest.raises(InputError, match="of which model .* is a part"):
            output.check(arguments)
    assert (folder / "model.safetensors").exists()


def _hold(folder, ready):
    owner = run_lock.take(Path(folder))
    ready.put(os.getpid())
    time.sleep(60)
    run_lock.release(Path(folder), owner)


@pytest.fixture(params=["locks", "no locks"])
def holder(request, tmp_path, monkeypatch):
    """A process that has ``tmp_path/run``, with and without locks of the file system."""
    if request.param == "no locks":
        monkeypatch.setattr(run_lock, "_lock", lambda folder, file: False)
    (tmp_path / "run").mkdir()
    context = multiprocessing.get_context("fork")
    ready = context.Queue()
    process = context.Process(target=_hold, args=(str(tmp_path / "run"), ready))
    process.start()
    ready.get(timeout=60)
    yield process
    process.kill()
    process.join()


def test_a_second_run_in_a_folder_is_refused_until_the_first_is_gone(config, tmp_path, holder):
    arguments = config(output_dir=str(tmp_path / "run"), epochs=0.2)
    with pytest.raises(InputError, match=f"another run is writing to output_dir .*process {holder.pid} on"):
        training.start(arguments)
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert (tmp_path / "run" / run_lock.LOCK).exists(), "a killed run leaves the file"
    accelerator = training.start(arguments)
    output.release(accelerator)
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_of_another_machine_without_locks_says_which_file_to_delete(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_lock", lambda folder, file: False)
    (tmp_path / run_lock.LOCK).write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(InputError, match=rf"process 1 on elsewhere.*delete .*{run_lock.LOCK}"):
        run_lock.take(tmp_path)


def test_the_next_start_tells_how_far_a_run_came(config, ended):
    arguments, folder = ended
    with pytest.raises(InputError, match=r"holds a run that did not end \(its last checkpoint: step 2\)"):
        training.start(arguments)
    (folder / "run.json").write_text(
        json.dumps({"recipe": "job", "arguments": {}, "versions": {}, "finished": "2026-01-02"})
    )
    with pytest.raises(InputError, match="holds a run that ended 2026-01-02: --resume goes on with it"):
        training.start(arguments)


@pytest.mark.parametrize("step", range(8))
def test_a_claim_killed_at_any_write_leaves_a_folder_that_can_be_taken_again(config, ended, monkeypatch, step):
    _, folder = ended
    again = config(output_dir=str(folder), epochs=0.2, seed=7, overwrite=True)
    left = [step]

    def counted(original):
        def call(*arguments, **options):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return original(*arguments, **options)

        return call

    training.start(again)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for owner, name in ((os, "replace"), (Path, "unlink"), (Path, "rmdir")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        output.claim(again)
        raise KeyboardInterrupt
    run(config(output_dir=str(folder), epochs=0.2, seed=7, overwrite=True))
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 7
