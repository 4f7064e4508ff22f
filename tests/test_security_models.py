"""Model folders, run folders and configurations from strangers: one line, and nothing outside is read or run."""

import json
import os

import interpreter
import pytest
from tiny_bert import save_tiny_bert

from hf_attn import models
from hf_attn.errors import InputError
from hf_attn.interface.arguments import parse
from hf_attn.interface.foreign_files import read_json, read_yaml
from hf_attn.models import check_text_model
from hf_attn.models.checkpoint_files import check_model_folder
from hf_attn.models.sizes import absurd_sizes


@pytest.fixture
def folder(tmp_path):
    return save_tiny_bert(tmp_path / "model")


def sharded(folder, weight_map):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


MAPS = {
    "parent": {"a": "../model-00001-of-00001.safetensors"},
    "absolute": {"a": "/etc/passwd"},
    "absolute safetensors": {"a": "/tmp/a.safetensors"},
    "folder beneath": {"a": "sub/a.safetensors"},
    "backslash": {"a": "..\\a.safetensors"},
    "pickle": {"a": "pytorch_model.bin"},
    "number": {"a": 1},
    "list": {"a": ["model-00001-of-00001.safetensors"]},
    "null": {"a": None},
    "no mapping": ["model-00001-of-00001.safetensors"],
    "empty": {},
    "text": "model-00001-of-00001.safetensors",
}


@pytest.mark.parametrize("name", MAPS)
def test_an_index_names_only_files_beside_it(folder, name):
    sharded(folder, MAPS[name])
    with pytest.raises(InputError, match=r"model\.safetensors\.index\.json is damaged") as raised:
        check_model_folder(folder)
    assert len(str(raised.value).splitlines()) == 1


def test_a_whole_index_is_taken(folder):
    sharded(folder, {"bert.pooler.dense.bias": "model-00001-of-00001.safetensors"})
    check_model_folder(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_plain_file_is_told_and_not_waited_for(folder, name, kind):
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "device":
        (folder / name).symlink_to("/dev/zero")
    else:
        (folder / name).mkdir()
    with pytest.raises(InputError, match=f"{name} is no plain file"):
        check_text_model(folder)


CONFIGS = {
    "layers": {"num_hidden_layers": 10**9},
    "layers of another name": {"n_layer": 10**9},
    "width": {"hidden_size": 10**9},
    "labels": {"num_labels": 10**9},
    "vocabulary": {"vocab_size": 10**12},
    "float": {"intermediate_size": 1e30},
    "in a part": {"vision_config": {"num_hidden_layers": 10**7}},
    "in a list": {"depths": [2, 10**9]},
    "experts": {"num_experts": 10**9},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_of_an_absurd_size_is_one_line(folder, name):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | CONFIGS[name]))
    with pytest.raises(InputError, match="is the most that is taken"):
        models.load(folder)


def test_published_sizes_are_no_absurd_ones():
    large = {"num_hidden_layers": 126, "hidden_size": 16384, "intermediate_size": 53248, "vocab_size": 262144}
    large |= {"max_position_embeddings": 10**7, "num_labels": 21843, "rope_theta": 5e8, "depths": [3, 4, 36, 3]}
    assert not absurd_sizes(large)


@pytest.mark.parametrize(("text", "said"), [("[" * 10**5, "nested"), ('{"a":' * 200 + "1" + "}" * 200, "nested")])
def test_deep_json_is_one_line(folder, text, said):
    for name in ("config.json", "model.safetensors.index.json"):
        (folder / name).write_text(text)
        with pytest.raises(InputError, match=said):
            read_json(folder / name)
    with pytest.raises(InputError, match="config.json is not readable JSON"):
        check_model_folder(folder)


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
YAMLS = {
    "class": "lr: !!python/object/apply:os.system ['touch {mark}']\n",
    "module": "lr: !!python/module:os\n",
    "name": "lr: !!python/name:os.system\n",
    "billion laughs": LAUGHS + "lr: *a9\n",
    "merge": "<<: *a\n",
    "deep": "lr: " + "[" * 10**5,
    "deep blocks": "".join("  " * depth + "a:\n" for depth in range(300)),
    "no date": "lr: 2001-13-45\n",
    "thousands of digits": "lr: " + "1" * 5000 + "\n",
    "unhashable": "{[1]: 2}: 3\n",
    "nul": "lr: \0\n",
    "large": "# " + "x" * (5 << 20),
}


@pytest.mark.parametrize("name", YAMLS)
def test_a_strange_yaml_is_one_line_and_runs_nothing(tmp_path, name):
    from run_records import Config

    (tmp_path / "config.yaml").write_text(YAMLS[name].replace("{mark}", str(tmp_path / "mark")))
    with pytest.raises(InputError) as raised:
        read_yaml(tmp_path / "config.yaml")
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(InputError, match="cannot be read"):
        parse(Config, ["--config", str(tmp_path / "config.yaml")], recipe="text_classification")
    assert not (tmp_path / "mark").exists()


CODE = "import pathlib\npathlib.Path({mark!r}).write_text('run')\n"
STRANGERS = {
    "configuration": {"config.json": {"model_type": "strange", "auto_map": {"AutoConfig": "code.Config"}}},
    "model": {"config.json": {"auto_map": {"AutoModelForSequenceClassification": "code.Model"}}},
    "tokenizer": {"tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["code.Slow", "code.Fast"]}}},
    "tokenizer unknown": {
        "tokenizer_config.json": {"tokenizer_class": "Strange", "auto_map": {"AutoTokenizer": ["code.S", "code.F"]}}
    },
    "another repository": {"config.json": {"model_type": "strange", "auto_map": {"AutoConfig": "a/b--code.Config"}}},
}


@pytest.mark.parametrize("name", STRANGERS)
def test_code_in_a_folder_is_not_run_though_yes_is_typed(folder, tmp_path, name):
    mark = tmp_path / "mark"
    (folder / "code.py").write_text(CODE.format(mark=str(mark)))
    for file, changes in STRANGERS[name].items():
        (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | changes))
    command = ["-m", "hf_attn.cli", "predict", folder, "a text"]
    done = interpreter.run(command, {**os.environ, "HF_HUB_OFFLINE": "1"}, input="y\n" * 9)
    assert not mark.exists()
    assert done.returncode == 0 or (done.returncode == 2 and "Traceback" not in done.stderr), done.stderr
    assert "[y/N]" not in done.stdout + done.stderr
