"""A variant of the user's own travels with its model where its file can, and a warning says so where it cannot."""

import importlib.util
import json
import logging
import sys

import interpreter
import pytest
import tiny_models
import torch
from safetensors.torch import save_file
from test_reload import run
from transformers import BertForSequenceClassification

from hf_attn.attention import VARIANTS, swap_attention
from hf_attn.attention.own_variant import travelling

SHARP = '''"""Attention with a gain."""  # kept

import torch
{imports}
from torch import nn

START = 0.0


@{register}("sharp-{number}")
class Sharp({base}):
    equation = "s = (1+g)·q·k/√d"

    def __init__(self, num_heads, head_dim):
        super().__init__(num_heads, head_dim)
        self.gain = nn.Parameter(torch.empty(num_heads, 1, 1))

    def reset_parameters(self):
        super().reset_parameters()
        nn.init.constant_(self.gain, START)

    def scores(self, query, key, scaling):
        return super().scores(query, key, scaling) * (1 + self.gain)


if __name__ == "__main__":
    print("a demonstration")
'''
FORMS = {
    "package": ("import hf_attn", "hf_attn.register_variant", "hf_attn.Variant"),
    "short": ("import hf_attn as ha", "ha.register_variant", "ha.Variant"),
    "names": ("from hf_attn import (\n    Variant as Base,\n    register_variant,\n)", "register_variant", "Base"),
    "family": (
        "from hf_attn.attention import register_variant\nfrom hf_attn.attention.normalizers import Sparsemax",
        "register_variant",
        "Sparsemax",
    ),
}


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def own(folder, number, form, more=""):
    """Register a variant by a file of its own, and return its name."""
    imports, register, base = FORMS[form]
    path = folder / f"own_variant_{number}.py"
    path.write_text(SHARP.format(imports=imports + more, register=register, base=base, number=number))
    module_of(path)
    return f"sharp-{number}"


@pytest.fixture(autouse=True)
def forgotten():
    known = dict(VARIANTS)
    yield
    VARIANTS.clear()
    VARIANTS.update(known)


def model_with(name):
    model = swap_attention(tiny_models.tiny_model("bert", BertForSequenceClassification), name)
    tiny_models.perturb(model)
    return model


def save(name, folder):
    """Save a model with what tests/test_reload.py's program compares."""
    model = model_with(name)
    inputs = tiny_models.inputs_for(model)
    with torch.no_grad():
        output = model(**inputs)[0]
    model.save_pretrained(folder)
    (folder / "auto.txt").write_text("AutoModelForSequenceClassification")
    save_file(inputs, folder / "inputs.safetensors")
    save_file({"output": output.contiguous()}, folder / "outputs.safetensors")


def test_a_variant_in_a_file_of_its_own_loads_without_package_and_file_and_travels_on(tmp_path):
    saved, again = tmp_path / "saved", tmp_path / "again"
    save(own(tmp_path, "on", "package"), saved / "model")
    assert "# kept" in (saved / "model" / "variant_sharp_on.py").read_text()
    expected = {"model": ["HfAttnBertForSequenceClassification", True, []]}
    again.mkdir()
    assert run("trust", saved, tmp_path / "cache", again)[0] == expected
    assert run("trust", again, tmp_path / "other")[0] == expected
    found, _ = run("package", saved, tmp_path / "third")
    assert "unknown attention variant 'sharp-on'" in found["model"] and "is imported" in found["model"]


def test_a_variant_made_of_one_of_the_package_travels(tmp_path):
    save(own(tmp_path, "family", "family"), tmp_path / "saved" / "model")
    found, _ = run("trust", tmp_path / "saved", tmp_path / "cache")
    assert found == {"model": ["HfAttnBertForSequenceClassification", True, []]}


@pytest.mark.parametrize(("form", "line"), [("short", "ha = SimpleNamespace("), ("names", "import Variant as Base\n")])
def test_names_that_a_file_gives_to_what_it_imports_stay(form, line, tmp_path):
    model_with(own(tmp_path, form, form)).save_pretrained(tmp_path / "model")
    code = (tmp_path / "model" / f"variant_sharp_{form}.py").read_text()
    assert line in code and "import hf_attn" not in code and "from hf_attn" not in code


NEEDS = {
    "another module of the user's": ("\nimport pandas", "imports pandas"),
    "a neighbour": ("\ntry:\n    from .layers import gain\nexcept ImportError:\n    pass", "more than define"),
    "more of the package": ("\nfrom hf_attn import load", "needs more of hf_attn than"),
    "a recipe": ("\nfrom hf_attn.recipes import text_classification", "needs more of hf_attn than"),
    "two in a line": ("; import hf_attn", "in a line of its own"),
    "a run at import": ("\nprint('training')", "more than define"),
}


@pytest.mark.parametrize("what", NEEDS)
def test_a_file_that_cannot_travel_is_named_in_a_warning_at_save(what, tmp_path, caplog):
    more, reason = NEEDS[what]
    number = what.replace(" ", "_").replace("'", "")
    with caplog.at_level(logging.WARNING):
        model_with(own(tmp_path, number, "package", more)).save_pretrained(tmp_path / "model")
    assert reason in caplog.text and f"own_variant_{number} is imported before" in caplog.text
    assert not list((tmp_path / "model").glob("variant_*"))
    assert "own_variant as" not in (tmp_path / "model" / "modeling_hf_attn.py").read_text()


def test_what_transformers_would_push_without_the_code_is_refused(tmp_path):
    model = model_with(own(tmp_path, "pushed", "package"))
    with pytest.raises(ValueError, match=r"use push_to_hub\(\)"):
        model.save_pretrained(tmp_path / "model", push_to_hub=True)


def test_a_relative_import_does_not_travel(tmp_path):
    with pytest.raises(ValueError, match=r"imports \.layers"):
        travelling("from .layers import gain\n", tmp_path)


def test_a_variant_of_a_program_that_is_no_file_warns(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(tiny_models.__file__).rpartition("/")[0]!r})
import hf_attn, tiny_models
from transformers import BertForSequenceClassification
@hf_attn.register_variant("sharp")
class Sharp(hf_attn.Variant):
    pass
model = tiny_models.tiny_model("bert", BertForSequenceClassification)
hf_attn.swap_attention(model, "sharp").save_pretrained({str(tmp_path / "model")!r})
"""
    done = interpreter.run(["-c", program], check=True)
    assert "'sharp' is not saved with the model" in done.stderr and "stands in no file" in done.stderr
    assert json.loads((tmp_path / "model" / "config.json").read_text())["attn_variant"] == "sharp"
