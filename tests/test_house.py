"""Who may import whom: down only, no circle; imports inside functions and for type checking included."""

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "hf_attn"
# Wings from the ground up; those of one floor do not know each other.
FLOORS = (
    ("errors",),
    ("attention", "interface"),
    ("data",),
    ("models",),
    ("training",),
    ("tasks",),
    ("runs", "explain", "deploy"),
    ("studies",),
    ("cli",),
)
FLOOR = {wing: number for number, floor in enumerate(FLOORS) for wing in floor}
DOORS = {"__init__", "after_import", "registration"}
"""Files at the top that make the package known to transformers when it is imported."""


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the package, by its name without the package's."""
    found = {path: path.relative_to(root).with_suffix("").parts for path in sorted(root.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in found.items()}


def imports(root: Path = ROOT) -> dict[tuple[str, str], set[str]]:
    """What each module takes from each other one, by their names."""
    known, taken = modules(root), {}
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for module, what in _named(node, name, path, known):
                if module in known and module != name:
                    taken.setdefault((name, module), set()).add(what)
    return taken


def _named(node: ast.AST, name: str, path: Path, known: dict[str, Path]) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [
            (alias.name.removeprefix("hf_attn."), "all") for alias in node.names if alias.name.startswith("hf_attn.")
        ]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        above = here[: len(here) - node.level + 1]
        base = ".".join([*filter(None, above), *([node.module] if node.module else [])])
    elif (node.module or "").partition(".")[0] == "hf_attn":
        base = str(node.module).removeprefix("hf_attn").removeprefix(".")
    else:
        return []
    inner = [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
    return [(one, "all") if one in known else (base, alias.name) for one, alias in zip(inner, node.names, strict=True)]


def violations(taken: dict[tuple[str, str], set[str]]) -> list[str]:
    """What runs upwards or between wings that do not know each other: both files, and the names taken."""
    wrong = []
    for (above, below), names in taken.items():
        one, other = above.partition(".")[0], below.partition(".")[0]
        up = one != other and one and other and one not in DOORS and FLOOR[other] >= FLOOR[one]
        sides = {name.split(".")[1] for name in (above, below) if name.startswith("tasks.") and name.count(".") > 1}
        names_a_room = one in ("runs", "explain") and below.startswith(("tasks.inputs", "tasks.targets"))
        apart = {"inputs", "targets"} <= sides or (one == "attention" and other != "attention") or names_a_room
        if up or apart:
            wrong.append(f"{above} takes {', '.join(sorted(names))} of {below}")
    return wrong


def circles(taken: dict[tuple[str, str], set[str]]) -> list[str]:
    """Modules that import each other, each circle once."""
    below: dict[str, set[str]] = {}
    for one, other in taken:
        below.setdefault(one, set()).add(other)
    found, done = [], set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for other in sorted(below.get(name, ())):
                walk(other, (*path, name))
            done.add(name)

    for name in sorted(below):
        walk(name, ())
    return found


def test_imports_run_down_only():
    assert not violations(imports())


def test_no_modules_import_each_other():
    assert not circles(imports())


def test_every_wing_has_its_floor_and_the_top_holds_few_names():
    names = [path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert set(names) <= set(FLOOR) | DOORS
    assert len(names) <= 15


def test_every_package_is_installed():
    config = configparser.ConfigParser()
    config.read(ROOT.parent / "setup.cfg")
    packages = {".".join(["hf_attn", *path.parent.relative_to(ROOT).parts]) for path in ROOT.rglob("__init__.py")}
    assert packages | {"hf_attn.recipes"} == set(config["options"]["packages"].split())


@pytest.mark.parametrize(
    ("file", "code", "told"),
    [
        ("data/a.py", "def f():\n    from ..models.b import c, d", "data.a takes c, d of models.b"),
        ("attention/a.py", "from ..errors import InputError", "attention.a takes InputError of errors"),
        ("tasks/inputs/a.py", "if T:\n    from ..targets import b", "tasks.inputs.a takes all of tasks.targets.b"),
        ("runs/a.py", "from hf_attn.explain.b import c", "runs.a takes c of explain.b"),
        ("explain/a.py", "from ..tasks.targets.b import c", "explain.a takes c of tasks.targets.b"),
    ],
)
def test_a_violation_names_both_files_and_what_is_taken(file, code, told, tmp_path):
    for name in (file, "errors.py", "models/b.py", "tasks/targets/b.py", "explain/b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code if name == file else "")
    assert violations(imports(tmp_path)) == [told]


def test_a_circle_is_told_with_its_way(tmp_path):
    for name, code in {"a": "from . import b", "b": "def f():\n    from .c import x", "c": "from .a import y"}.items():
        (tmp_path / f"{name}.py").write_text(code)
    assert circles(imports(tmp_path)) == ["a -> b -> c -> a"]
