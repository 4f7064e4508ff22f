"""A run's folder: its log, its config.yaml, and that nothing in it is lost or taken unasked."""

import os

import interpreter
import pytest
import training_job
import yaml
from training_job import job_arguments, log_lines, run, sentences

from hf_attn import training
from hf_attn.errors import InputError


@pytest.fixture
def config(tmp_path):
    return job_arguments(tmp_path)


def test_the_log_holds_every_number_once(config):
    arguments = config(epochs=2.0, log_every=3, trackers=["tensorboard"])
    _, history = run(arguments)
    found = log_lines(arguments)
    assert [line["step"] for line in found if "loss" in line] == [3, 6, 8, 9, 12, 15, 16]
    assert [(line["step"], line["epoch"]) for line in found if "validation/accuracy" in line] == [(8, 1.0), (16, 2.0)]
    assert history.log == found
    assert history.tokens == 2 * sum(len(row["input_ids"]) for row in sentences(arguments.rows))
    assert history.seconds > 0
    assert any(name.startswith("events.") for _, _, names in os.walk(arguments.output_dir) for name in names)


def test_config_yaml_is_the_run_without_how_it_was_started(config):
    arguments = config(overwrite=True)
    run(arguments)
    with open(os.path.join(arguments.output_dir, "config.yaml")) as file:
        written = yaml.safe_load(file)
    assert written["recipe"] == "job"
    assert (written["lr"], written["overwrite"], written["resume"]) == (1e-3, False, False)


REFUSED = {
    "fp16 on a processor": ({"precision": "fp16"}, "precision fp16 needs a GPU"),
    "unknown tracker": ({"trackers": ["tensorbored"]}, "unknown tracker 'tensorbored': choose from"),
    "tracker not installed": ({"trackers": ["clearml"]}, "pip install clearml"),
    "resume and overwrite": ({"resume": True, "overwrite": True}, "exclude each other"),
    "not a folder": ({"output_dir": "/dev/null/run"}, "cannot be written to"),
    "not writable": ({"output_dir": "/proc/run"}, "cannot be written to"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_written(name, config):
    options, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        training.start(config(**options))


def test_an_existing_run_is_never_replaced_unasked(config, tmp_path):
    arguments = config(output_dir=str(tmp_path / "one"), epochs=0.2)
    run(arguments)
    before = (tmp_path / "one" / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="--resume goes on with it, --overwrite replaces it"):
        training.start(arguments)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == before
    replaced = config(output_dir=str(tmp_path / "one"), epochs=0.2, overwrite=True, seed=5)
    training.start(replaced)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == before, "nothing is lost before training starts"
    run(replaced)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() != before


def test_a_folder_of_something_else_is_never_taken(config, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "README.md").write_text("mine")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="something else"):
            training.start(config(output_dir=str(tmp_path / "thesis"), **options))


def test_resume_names_what_changed(config, tmp_path):
    run(config(output_dir=str(tmp_path / "one"), epochs=0.2))
    again = {"output_dir": str(tmp_path / "one"), "epochs": 0.2, "resume": True}
    with pytest.raises(InputError) as raised:
        training.start(config(**again, lr=5e-4, hidden=32))
    assert "lr was 0.001 and is 0.0005" in str(raised.value)
    assert "hidden was 16 and is 32" in str(raised.value)
    assert "epochs" not in str(raised.value).split(";")[0]
    training.start(config(**again, log_every=5, keep=9))


def test_resume_of_nothing_starts(config):
    _, history = run(config(epochs=0.2, resume=True))
    assert history.step == 2


def test_input_errors_end_the_program_with_status_2(tmp_path):
    command = [training_job.__file__, "--output_dir", tmp_path, "--precision", "fp16"]
    ended = interpreter.run(command, os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert ended.returncode == 2
    assert ended.stderr == "error: precision fp16 needs a GPU: choose bf16, no or auto on this processor\n"
