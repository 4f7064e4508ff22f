"""What ``accelerate launch`` was told holds, an explicit argument before it, and what the loop cannot do is refused."""

import json
import logging
import os
from pathlib import Path

import interpreter
import pytest
import torch
import training_job
import yaml
from training_job import distance, job_arguments, run, tiny_model, weights

from hf_attn import training
from hf_attn.errors import InputError
from hf_attn.training.launcher import choose_precision


@pytest.fixture
def config(tmp_path):
    return job_arguments(tmp_path)


@pytest.fixture(autouse=True)
def not_launched(monkeypatch):
    for name in [name for name in os.environ if name.startswith("ACCELERATE_") or name in ("MASTER_PORT", "RANK")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("said", ["no", "bf16"])
def test_auto_is_what_the_launcher_says(said, config, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", said)
    for own in ("no", "bf16"):
        monkeypatch.setattr("hf_attn.training.launcher.choose_precision", lambda device, own=own: own)
        assert training.start(config(precision="auto")).mixed_precision == said


@pytest.mark.parametrize(("given", "said"), [("no", "bf16"), ("bf16", "no")])
def test_an_explicit_precision_wins_and_says_so(given, said, config, monkeypatch, caplog):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", said)
    with caplog.at_level(logging.INFO, logger="hf_attn"):
        assert training.start(config(precision=given)).mixed_precision == given
    assert f"precision {given}, as --precision says; the launcher says {said}" in caplog.text


def test_a_launcher_that_takes_the_fast_precision_away_is_told(config, monkeypatch, caplog):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setattr("hf_attn.training.launcher.choose_precision", lambda device: "bf16")
    with caplog.at_level(logging.INFO, logger="hf_attn"):
        training.start(config(precision="auto"))
    assert "precision no, as the launcher says; --precision auto alone would be bf16 here" in caplog.text


def test_without_a_launcher_auto_is_what_the_processor_has(config):
    own = choose_precision(torch.device("cpu"))
    assert training.start(config(precision="auto")).mixed_precision == own


REFUSED = {
    "fp8": ({"ACCELERATE_MIXED_PRECISION": "fp8"}, "mixed_precision fp8: choose bf16, fp16 or no"),
    "fp16": ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "precision fp16 needs a GPU"),
    "accumulation": ({"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}, "give --accumulation_steps 4"),
    "fsdp": ({"ACCELERATE_USE_FSDP": "true"}, "asks for FSDP, and this loop trains whole models"),
    "deepspeed": ({"ACCELERATE_USE_DEEPSPEED": "true"}, "asks for DeepSpeed"),
    "megatron": ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "asks for Megatron-LM"),
    "parallelism": ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "asks for a parallelism configuration"),
    "processes": (
        {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_PORT": "29500"},
        "told several processes and starts one",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_loop_cannot_do_is_refused_before_the_folder_is_taken(name, config, monkeypatch):
    environment, message = REFUSED[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    arguments = config(precision="auto")
    with pytest.raises(InputError, match=message) as raised:
        training.start(arguments)
    assert "\n" not in str(raised.value)
    assert not Path(arguments.output_dir).exists()


def test_several_faults_are_told_at_once(config, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(InputError, match="FSDP.*fp8"):
        training.start(config(precision="auto"))


def test_accumulation_that_the_launcher_knows_of_is_not_divided_twice(config, monkeypatch):
    """Accelerate divides each loss by its own number of steps; the loop has divided by the items already."""
    options = {"batch_size": 4, "accumulation_steps": 2, "dropout": 0.0, "max_steps": 4, "max_grad_norm": 0.01}
    plain, history = run(config(**options))
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "2")
    launched, other = run(config(**options))
    assert distance(weights(plain), weights(launched)) == 0
    norms = [[line["grad_norm"] for line in one.log if "grad_norm" in line] for one in (history, other)]
    assert norms[0] == norms[1]


def test_the_launchers_compiler_compiles_the_same_model(config, monkeypatch):
    options = {"max_steps": 2, "dropout": 0.0}
    plain, _ = run(config(**options))
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "EAGER")
    compiled, _ = run(config(**options))
    assert distance(weights(plain), weights(compiled)) < 1e-5
    assert list(weights(plain)) == list(weights(compiled))
    assert "forward" not in vars(compiled)
    with pytest.raises(InputError, match="compiles the model with its dynamo backend and --compile once more"):
        run(config(**options, compile=True))


@pytest.mark.parametrize("how", ["flag", "file"])
def test_a_launched_run_trains_in_what_was_launched(how, tmp_path):
    """The command itself: its flag, and its configuration file."""
    said = "no" if choose_precision(torch.device("cpu")) == "bf16" else "bf16"
    file = tmp_path / "accelerate.yaml"
    values = {"compute_environment": "LOCAL_MACHINE", "distributed_type": "NO", "num_machines": 1, "num_processes": 1}
    file.write_text(yaml.safe_dump({**values, "mixed_precision": said, "use_cpu": True}))
    options = ["--config_file", str(file)] if how == "file" else ["--mixed_precision", said, "--cpu"]
    command = ["-m", "accelerate.commands.launch", *options, training_job.__file__, "--output_dir", tmp_path / "run"]
    ended = interpreter.run([*command, "--max_steps", 2], {**os.environ, "HF_HOME": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr
    checkpoint = tmp_path / "run" / "checkpoints" / "00000002" / "progress.json"
    assert json.loads(checkpoint.read_text())["precision"] == said


def test_one_process_leaves_parameters_without_gradient_alone(config):
    model = tiny_model()
    model.unused = torch.nn.Linear(3, 3)
    before = model.unused.weight.clone()
    trained, _ = run(config(max_steps=3, weight_decay=0.5), model=model)
    assert trained.unused.weight.equal(before)
