"""Arguments: defaults < YAML < flags, help, and one line for whatever is wrong."""

import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import yaml
from training_job import JobConfig

from hf_attn.errors import InputError
from hf_attn.interface import arguments


def parse(*argv):
    return arguments.parse(JobConfig, argv, recipe="job")


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return f"--config={path}"

    return write


def test_flags_beat_yaml_beats_defaults(config):
    parsed = parse("--lr", "3e-5", config("lr: 1e-3\nepochs: 2\ntrackers: [tensorboard]"))
    assert (parsed.lr, parsed.epochs, parsed.trackers, parsed.batch_size) == (3e-5, 2.0, ["tensorboard"], 32)
    assert isinstance(parsed.epochs, float)


def test_yaml_numbers_like_1e_3_are_numbers(config):
    assert parse(config("lr: 1e-3")).lr == 1e-3


def test_yaml_no_is_the_precision_no(config):
    assert parse(config("precision: no")).precision == "no"


@pytest.mark.parametrize(
    ("words", "value"), [(["--overwrite"], True), (["--no_overwrite"], False), (["--overwrite", "true"], True)]
)
def test_switches_need_no_value(words, value):
    assert parse(*words).overwrite is value


def test_lists_take_several_words():
    assert parse("--trackers", "wandb", "tensorboard").trackers == ["wandb", "tensorboard"]


def test_null_is_none():
    assert parse("--ema", "null").ema is None


def test_what_to_yaml_writes_runs_the_same_again(config):
    parsed = parse("--lr", "1e-5", "--trackers", "a", "--precision", "no", "--overwrite", "--metric", "-loss")
    text = arguments.to_yaml(parsed, "job")
    assert parse(config(text)) == parsed
    assert yaml.safe_load(text)["recipe"] == parsed.recipe == "job"


BAD = {
    "unknown flag": (["--learning_rte", "1"], "unknown argument --learning_rte"),
    "misspelt flag": (["--batchsize", "1"], "did you mean --batch_size?"),
    "hyphens": (["--batch-size", "1"], "did you mean --batch_size?"),
    "abbreviation": (["--accum", "2"], "unknown argument --accum"),
    "stray word": (["stray"], "stray"),
    "not a number": (["--lr", "high"], "lr is 'high': expected a number"),
    "not a whole number": (["--batch_size", "1.5"], "batch_size is '1.5': expected a whole number"),
    "neither number nor null": (["--ema", "x"], "ema is 'x': expected a number or null"),
    "neither true nor false": (["--overwrite", "maybe"], "overwrite is 'maybe': expected true or false"),
    "no such choice": (["--precision", "fp8"], "precision is 'fp8': expected one of 'auto', 'no', 'bf16', 'fp16'"),
    "no such schedule": (["--schedule", "cosin"], "schedule is 'cosin': expected one of 'linear'"),
    "no value": (["--lr"], "--lr"),
    "negative": (["--lr", "-1"], "lr is -1.0: it must be above 0"),
    "zero steps": (["--max_steps", "0"], "max_steps is 0"),
    "not finite": (["--epochs", "inf"], "epochs"),
    "decay above 1": (["--layer_decay", "1.5"], "layer_decay is 1.5"),
    "ema of 1": (["--ema", "1"], "ema is 1.0: it must lie between 0 and 1"),
    "no config file": (["--config", "nowhere.yaml"], "nowhere.yaml cannot be read: No such file"),
    "config without a name": (["--config"], "--config"),
}
BAD_YAML = {
    "unknown key": ("lrr: 1", "unknown key 'lrr'", "did you mean lr?"),
    "other recipe": ("recipe: image_classification\nlr: 1e-3", "recipe image_classification", "this is job"),
    "a list": ("- 1", "holds no arguments"),
    "empty": ("", "holds no arguments"),
    "not YAML": ("lr: [1", "cannot be read"),
    "wrong type": ("batch_size: many", "batch_size is 'many': expected a whole number"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_flags_are_one_line(name):
    argv, *expected = BAD[name]
    with pytest.raises(InputError) as raised:
        parse(*argv)
    assert all(part in str(raised.value) for part in expected), raised.value
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", BAD_YAML)
def test_bad_yaml_is_one_line(name, config):
    text, *expected = BAD_YAML[name]
    with pytest.raises(InputError) as raised:
        parse(config(text))
    assert all(part in str(raised.value) for part in expected), raised.value
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"lr: \xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        parse("--config", str(tmp_path / "c.yaml"))


def test_all_mistakes_are_named_at_once(config):
    with pytest.raises(InputError) as raised:
        parse("--learning_rte", "1", "--sed", "3", config("epoch: 3"))
    assert all(part in str(raised.value) for part in ("--learning_rte", "--seed", "epochs"))
    with pytest.raises(InputError) as raised:
        parse("--lr", "x", "--seed", "y", config("keep: z"))
    assert all(part in str(raised.value) for part in ("lr is", "seed is", "keep is"))
    with pytest.raises(InputError) as raised:
        parse("--lr", "0", "--keep", "0", "--ema", "2")
    assert all(part in str(raised.value) for part in ("lr is", "keep is", "ema is"))


@dataclass(kw_only=True)
class Wanting:
    """A recipe with an argument that must be given."""

    model: str
    """Hub id or folder."""
    rates: list[float] = field(default_factory=list)
    """Several numbers."""


def test_what_has_no_default_must_be_given():
    with pytest.raises(InputError, match="missing: --model"):
        arguments.parse(Wanting, [], recipe="wanting")
    parsed = arguments.parse(Wanting, ["--model", "m", "--rates", "1e-3", "2"], recipe="wanting")
    assert parsed == Wanting(model="m", rates=[1e-3, 2.0])


def test_help_says_every_argument_with_default_in_groups(capsys):
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for title in ("Run and output:", "How long to train:", "Optimizer (AdamW) and schedule:", "Train a tiny BERT"):
        assert title in text
    for words in ("--lr", "Highest learning rate.", "default: 0.0001", "Passes over the training examples"):
        assert words in text
    for name in arguments.arguments_of(JobConfig):
        assert f"--{name.name}" in text
    assert "Literal" not in text and "type: bool" not in text and "_required_" not in text


PROGRAM = """
from hf_attn.interface import arguments
from hf_attn.errors import InputError
def main(argv):
    {body}
arguments.command_line(main)
"""


@pytest.mark.parametrize(
    ("body", "status", "stderr"),
    [
        ("raise InputError('column x is missing')", 2, "error: column x is missing\n"),
        ("raise FloatingPointError('step 3')", 1, "error: step 3\n"),
        ("import errno; raise OSError(errno.ENOSPC, 'disk is full')", 1, "error: disk is full\n"),
        ("open('/dev/full', 'w').write('x' * 100000)", 1, "error: No space left on device\n"),
        ("raise KeyboardInterrupt", 130, ""),
        ("pass", 0, ""),
    ],
)
def test_what_a_user_can_mend_ends_in_one_line(body, status, stderr):
    ended = subprocess.run([sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (status, stderr)
