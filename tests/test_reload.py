"""Saved models come back bit for bit in a clean process: with the package, and without it as remote code."""

import json
import os
from pathlib import Path

import interpreter
import pytest
import tiny_models
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageClassification, AutoModelForSequenceClassification
from transformers import AutoModelForTokenClassification as Token
from transformers.models.auto import modeling_auto as auto_classes

from hf_attn.attention import swap_attention

TEXT, IMAGE, BASE = AutoModelForSequenceClassification, AutoModelForImageClassification, AutoModel
SAVED = {
    "bert": (TEXT, "talking_heads", {}),
    "roberta": (Token, "additive", {"attn_dim": 3}),
    "distilbert": (TEXT, "entmax15", {"mix": 0.3}),
    "albert": (TEXT, "sigmoid", {}),
    "modernbert": (TEXT, "gated", {}),
    "vit": (IMAGE, "cosine", {}),
    "dinov2": (IMAGE, "focal", {"window": 1, "pool": [2, 4]}),
    "dinov3_vit": (BASE, "general", {}),
    "swin": (IMAGE, "sparsemax", {}),
    "wav2vec2": (BASE, "local", {"window": 2, "global_tokens": 0}),
    "t5": (BASE, "temperature", {}),
    "clip": (BASE, "linear", {}),
    "gpt2": (auto_classes.AutoModelForCausalLM, "gated", {}),
    "electra": (auto_classes.AutoModelForMaskedLM, "talking_heads", {}),
    "xlm-roberta": (auto_classes.AutoModelForQuestionAnswering, "general", {}),
    "bart": (auto_classes.AutoModelForSeq2SeqLM, "entmax15", {"mix": 0.5}),
    "hubert": (auto_classes.AutoModelForCTC, "talking_heads", {}),
    "whisper": (auto_classes.AutoModelForSpeechSeq2Seq, "cosine", {}),
    "yolos": (auto_classes.AutoModelForObjectDetection, "gated", {}),
    "siglip": (auto_classes.AutoModelForZeroShotImageClassification, "temperature", {}),
}

# Loads every folder, compares the logits, saves again where asked to, and prints what happened as JSON.
SCRIPT = """
import json, sys
from pathlib import Path
mode, root, again = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
if mode == "package":
    sys.path.insert(0, sys.argv[4])
    import hf_attn
else:
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "hf_attn":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Hidden())
    try:
        import hf_attn
    except ModuleNotFoundError:
        pass
    else:
        raise SystemExit("hf_attn is not hidden")
import torch, transformers
from safetensors.torch import load_file
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
found = {}
for folder in sorted(root.iterdir()):
    auto = getattr(transformers, (folder / "auto.txt").read_text())
    trust = {"trust_remote_code": True} if mode == "trust" else {}
    try:
        model, info = auto.from_pretrained(folder, output_loading_info=True, **trust)
    except Exception as error:
        found[folder.name] = f"{type(error).__name__}: {error}"
        continue
    with torch.no_grad():
        output = model.eval()(**load_file(folder / "inputs.safetensors"))
    equal = torch.equal(output[0], load_file(folder / "outputs.safetensors")["output"])
    found[folder.name] = [type(model).__name__, equal, sorted(key for key, value in info.items() if value)]
    if again:
        target = Path(again) / folder.name
        model.save_pretrained(target)
        for name in ("auto.txt", "inputs.safetensors", "outputs.safetensors"):
            (target / name).write_bytes((folder / name).read_bytes())
if mode == "stock":
    transformers.logging.set_verbosity_warning()
    transformers.BertForSequenceClassification.from_pretrained(root / "bert")
print("FOUND" + json.dumps(found))
"""


def run(mode: str, root: Path, cache: Path, again: Path | str = "") -> tuple[dict, str]:
    """Load the folders in a process of its own, which finds the package only in one of the modes."""
    repository = str(Path(__file__).parents[1])
    environment = {**os.environ, "HF_MODULES_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    process = interpreter.run(["-c", SCRIPT, mode, root, again, repository], environment, cache.parent, check=True)
    return json.loads(process.stdout.partition("FOUND")[2]), process.stderr


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Save trained variants of several architectures, with inputs and the outputs that they must give."""
    root = tmp_path_factory.mktemp("saved")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for model_type, (auto, variant, kwargs) in SAVED.items():
        cls = auto._model_mapping[tiny_models.CONFIG_MAPPING[model_type]]
        model = swap_attention(tiny_models.tiny_model(model_type, cls), variant, **kwargs)
        tiny_models.perturb(model)
        inputs = tiny_models.inputs_for(model)
        with torch.no_grad():
            output = model(**inputs)[0]
        model.save_pretrained(root / model_type)
        (root / model_type / "auto.txt").write_text(auto.__name__)
        save_file(inputs, root / model_type / "inputs.safetensors")
        save_file({"output": output.contiguous()}, root / model_type / "outputs.safetensors")
    torch.set_num_threads(threads)
    return root


def expected() -> dict:
    names = {m: auto._model_mapping[tiny_models.CONFIG_MAPPING[m]].__name__ for m, (auto, *_) in SAVED.items()}
    return {model_type: ["HfAttn" + name, True, []] for model_type, name in names.items()}


def test_with_the_package_the_auto_classes_give_equal_logits(saved, tmp_path):
    assert run("package", saved, tmp_path / "cache")[0] == expected()


def test_without_the_package_remote_code_gives_equal_logits_and_saves_itself_on(saved, tmp_path):
    (tmp_path / "again").mkdir()
    assert run("trust", saved, tmp_path / "cache", tmp_path / "again")[0] == expected()
    # Saved by a stranger, then loaded by another one.
    assert run("trust", tmp_path / "again", tmp_path / "other")[0] == expected()


def test_without_package_and_trust_loading_fails_in_words_and_a_stock_class_warns(saved, tmp_path):
    found, stderr = run("stock", saved, tmp_path / "cache")
    assert set(found) == set(SAVED)
    for model_type, message in found.items():
        assert isinstance(message, str) and "trust_remote_code" in message, (model_type, message)
    assert "hf_attn_bert" in stderr


def test_a_saved_folder_holds_safetensors_and_the_code_alone(saved):
    names = {path.name for path in (saved / "bert").iterdir()} - {
        "auto.txt",
        "inputs.safetensors",
        "outputs.safetensors",
    }
    assert {name for name in names if not name.endswith(".py")} == {"config.json", "model.safetensors"}
    assert "modeling_hf_attn.py" in names and not names & {"conversion.py", "maps.py", "__init__.py"}
    assert any(".hf_attn." in key for key in load_file(saved / "bert" / "model.safetensors"))


@pytest.mark.parametrize("name", ["DeiTForImageClassification", "DeiTForImageClassificationWithTeacher"])
def test_of_several_classes_of_one_task_the_saved_one_comes_back(tmp_path, name):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    config = transformers.DeiTConfig(image_size=32, patch_size=8, num_labels=3, **sizes)
    model = swap_attention(getattr(transformers, name)(config).eval(), "entmax15")
    model.save_pretrained(tmp_path)
    again = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert type(again) is type(model)
    assert torch.equal(again(pixels).logits, model(pixels).logits)
