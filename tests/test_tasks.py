"""Each row of the table of tasks is an input and a target that have all that their contracts name."""

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest
import transformers

import hf_attn
from hf_attn.tasks import contracts
from hf_attn.tasks.table import TASKS
from hf_attn.tasks.targets.labels.encoding import KINDS

PACKAGE = Path(hf_attn.__file__).parent
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def names(contract) -> list[str]:
    """What a contract names: its functions, properties and attributes."""
    return sorted({name for name in (*vars(contract), *contract.__annotations__) if not name.startswith("_")})


@each_task
def test_the_input_of_a_task_has_every_name_of_its_contract(task):
    assert not [name for name in names(contracts.Input) if not hasattr(task.input, name)]
    assert not [name for name in names(contracts.Examples) if not hasattr(task.input.Examples, name)]


@each_task
def test_the_target_of_a_task_has_every_name_of_its_contract(task):
    assert not [name for name in names(contracts.Targets) if not hasattr(task.target, name)]


@each_kind
def test_each_kind_of_label_has_every_name_of_a_target(kind):
    assert not [name for name in names(contracts.Target) if not hasattr(kind, name)]
    assert not inspect.isabstract(kind)


@each_task
@pytest.mark.parametrize("contract", ["Input", "Targets"])
def test_functions_can_be_called_as_their_contract_says(task, contract):
    module = task.input if contract == "Input" else task.target
    for name, stated in vars(getattr(contracts, contract)).items():
        if not inspect.isfunction(stated) or name.startswith("_"):
            continue
        given = list(inspect.signature(stated).parameters.values())[1:]  # without self
        places = [p.name for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
        named = {p.name: None for p in given if p.kind is p.KEYWORD_ONLY}
        inspect.signature(getattr(module, name)).bind(*places, **named)


@each_task
def test_arguments_are_a_dataclass_whose_docstring_heads_their_help(task):
    for part in (task.input, task.target):
        assert dataclasses.is_dataclass(part.Options) and part.Options.__doc__
        acting = [name for name, value in vars(part.Options).items() if inspect.isfunction(value)]
        assert set(acting) <= {"problems", "__init__", "__repr__", "__eq__", "__replace__"}, "arguments do not act"


@each_task
def test_the_class_of_a_task_is_an_auto_class_with_models(task):
    assert len(getattr(transformers, task.auto)._model_mapping) > 10
    assert task.head.startswith("For")


@each_task
@pytest.mark.parametrize("trust", ["", ", trust_remote_code=True"])
def test_the_snippet_of_the_card_is_python_that_names_the_class(task, trust):
    code = task.input.USAGE.format(auto=task.auto, trust=trust)
    ast.parse(f"import hf_attn\nmodel_id = 'x'\n{code}")
    assert f"{task.auto}.from_pretrained(model_id{trust})" in code


def compared(path: Path) -> list[str]:
    """The strings that a file compares something with, or looks up in a table that is written out in place."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        parts = [*node.comparators, node.left] if isinstance(node, ast.Compare) else []
        if isinstance(node, ast.MatchValue):
            parts.append(node.value)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
            parts += filter(None, node.value.keys)
        for part in parts:
            found += [str(leaf.value) for leaf in ast.walk(part) if isinstance(leaf, ast.Constant)]
    return found


ABOUT_CHECKPOINTS = {"models/own_head.py"}
"""What a checkpoint's own configuration calls its head is compared where that is read."""


@pytest.mark.parametrize("folder", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()))
def test_no_name_of_a_task_or_a_kind_of_label_is_asked_for_outside_of_them(folder):
    told = {*TASKS, *KINDS, *(kind.problem_type for kind in KINDS.values())}
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if place.startswith("tasks/targets/labels/") or place in ABOUT_CHECKPOINTS:
            continue
        assert not told.intersection(compared(path)), place
