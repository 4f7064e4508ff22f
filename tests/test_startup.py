"""What needs no model answers without importing torch or transformers, and importing later finds our model types."""

import json
import subprocess
import sys

import interpreter
import pytest

from hf_attn.cli.catalogue import WRITTEN

HEAVY = ("torch", "transformers", "datasets", "accelerate", "pandas", "matplotlib", "sklearn", "scipy", "peft")


def python(code: str) -> str:
    return interpreter.run(["-c", code], check=True).stdout.strip()


def bare_python(code: str, *argv: str) -> str:
    """What a program prints in an interpreter that has imported nothing."""
    return subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["text_classification", "--help"],
        ["image_classification", "--help"],
        ["predict", "--help"],
        ["push", "--help"],
        ["copy", "--help"],
        ["list"],
        ["list", "variants"],
        ["list", "entmax15"],
    ],
    ids=" ".join,
)
def test_what_needs_no_model_imports_nothing_heavy(words):
    code = (
        "import sys\nfrom hf_attn.cli.main import dispatch\n"
        "try: dispatch(sys.argv[1:])\nexcept SystemExit as end: assert not end.code\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    assert bare_python(code, *words).splitlines()[-1] == "[]"


def test_what_is_written_of_the_variants_is_what_their_classes_say():
    assert json.loads(WRITTEN.read_text("utf-8")) == json.loads(
        python("import json\nfrom hf_attn.cli.catalogue import from_classes\nprint(json.dumps(from_classes()))")
    ), "python -m hf_attn.cli.catalogue writes it anew"


def test_a_variant_of_ones_own_is_listed_where_it_is_registered():
    code = (
        "import hf_attn\nfrom hf_attn.cli.catalogue import known\n"
        "@hf_attn.register_variant('mine')\nclass Mine(hf_attn.Variant):\n    pass\nprint('mine' in known())"
    )
    assert python(code) == "True"


def test_a_bad_argument_is_refused_before_anything_heavy_is_imported():
    code = (
        "import sys\nfrom hf_attn.cli.main import dispatch\nfrom hf_attn.errors import InputError\n"
        "try: dispatch(['text_classification', '--lr', 'fast'])\nexcept InputError as error: print(error)\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    message, heavy = bare_python(code).splitlines()
    assert "lr" in message and heavy == "[]"


@pytest.mark.parametrize("program", ["hf-attn", "train.py", ""])
@pytest.mark.parametrize(
    "imports",
    [
        "import hf_attn\nfrom transformers import AutoConfig",
        "from transformers import AutoConfig\nimport hf_attn",
        "import hf_attn\nimport transformers\nAutoConfig = transformers.AutoConfig",
    ],
    ids=["before", "after", "lazily"],
)
def test_the_auto_classes_know_our_model_types_whatever_is_imported_first(imports, program):
    code = (
        f"import sys\nsys.argv = [{program!r}]\n{imports}\nprint(type(AutoConfig.for_model('hf_attn_bert')).__name__)"
    )
    assert python(code) == "HfAttnBertConfig"


def test_a_module_waited_for_keeps_its_own_loader_and_source():
    code = (
        "import hf_attn, inspect\nfrom transformers.models.auto import configuration_auto as module\n"
        "loaders = type(module.__loader__).__name__, type(module.__spec__.loader).__name__\n"
        "print(*loaders, 'CONFIG_MAPPING' in inspect.getsource(module))"
    )
    assert python(code) == "SourceFileLoader SourceFileLoader True"


def test_a_module_that_is_only_looked_for_is_still_waited_for():
    code = (
        "import hf_attn, importlib.util\nfor _ in range(2): assert importlib.util.find_spec('peft').origin\n"
        "from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as table\n"
        "import peft\nprint(table['hf_attn_bert'], type(peft.__spec__.loader).__name__)"
    )
    assert python(code) == "['query', 'value'] SourceFileLoader"


def test_two_that_wait_for_one_module_are_both_called_once():
    code = (
        "from hf_attn.after_import import after_import\n"
        "after_import('zipapp', lambda: print('first'))\nafter_import('zipapp', lambda: print('second'))\n"
        "import zipapp\nprint(type(zipapp.__loader__).__name__)"
    )
    assert sorted(python(code).splitlines()) == ["SourceFileLoader", "first", "second"]
