"""The code of a variant that was registered outside this package, saved beside the weights of its model."""

import ast
import inspect
import logging
import re
import sys
from pathlib import Path
from typing import Any

from .variant import Variant

logger = logging.getLogger(__name__)

HOME = {"Variant": "variant", "register_variant": "registry"}
"""What a travelling file may use of ``hf_attn``, and where it stands beside the weights."""
PACKAGES = {*sys.stdlib_module_names, "numpy", "torch", "transformers"}
AS_PACKAGE = "from types import SimpleNamespace\n{imports}\n{{name}} = SimpleNamespace({names})".format(
    imports="\n".join(f"from .{home} import {name}" for name, home in HOME.items()),
    names=", ".join(f"{name}={name}" for name in HOME),
)


class SavesOwnVariant:
    """A model class that saves the code of the variants in it, where they are not this package's own."""

    def save_pretrained(
        self, save_directory: Any, is_main_process: bool = True, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        """Save the model as transformers does, and the code of the user's own variants.

        Raises:
            ValueError: ``push_to_hub`` with such a variant: transformers would upload before its code is there.
        """
        own = {type(module) for module in self.modules() if isinstance(module, Variant)}  # type: ignore[attr-defined]
        own = {cls for cls in own if is_own(cls)}
        if own and push_to_hub:
            raise ValueError("save_pretrained(push_to_hub=True) would leave out the variant's code: use push_to_hub()")
        parent: Any = super()
        parent.save_pretrained(save_directory, is_main_process, *args, push_to_hub=push_to_hub, **kwargs)
        for cls in own if is_main_process else ():
            save_code(cls, Path(save_directory))


def is_own(cls: type[Variant]) -> bool:
    """Whether the files of this package do not hold a variant."""
    return cls.__module__.rpartition(".")[0] != __package__


def save_code(cls: type[Variant], folder: Path) -> None:
    """Save the file of a variant into a model folder, and let the model's code there import it.

    A file travels that only defines: imports (``torch``, ``numpy``, ``transformers``, the standard library, and
    ``Variant``, ``register_variant`` or ``attention.FILE`` of ``hf_attn``), classes, functions and constants. Of any
    other a warning says what loading will need.

    Args:
        cls: of the variant.
        folder: where ``modeling_hf_attn.py`` has just been saved.
    """
    file = code_file(cls.name)
    (folder / file).unlink(missing_ok=True)
    try:
        code = travelling(source_of(cls), folder)
    except ValueError as reason:
        logger.warning(
            "the code of the attention variant %r is not saved with the model, which loads only where %s is imported "
            "before: %s. A file that only defines it, and imports torch and hf_attn alone, would be saved",
            *(cls.name, cls.__module__, reason),
        )
        return
    (folder / file).write_text(code, "utf-8")
    with (folder / "modeling_hf_attn.py").open("a", encoding="utf-8") as model_code:
        model_code.write(f"\nfrom .{Path(file).stem} import {cls.__qualname__} as own_variant\n")


def source_of(cls: type[Variant]) -> str:
    """Return the text of the file that defines a class at its top level.

    Raises:
        ValueError: there is none.
    """
    try:
        if cls.__qualname__ == cls.__name__:
            return Path(inspect.getfile(cls)).read_text("utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        pass
    raise ValueError(f"{cls.__qualname__} stands in no file, or inside a function")


def code_file(name: str) -> str:
    """Return the name of the file that holds the code of a user's own variant in a model folder."""
    return f"variant_{re.sub(r'[^0-9a-zA-Z]', '_', name)}.py"


def travelling(source: str, folder: Path) -> str:
    """Return a file's text with what it imports of ``hf_attn`` imported from the files beside the weights.

    Raises:
        ValueError: it does more than define, or needs what is not there.
    """
    tree, lines = ast.parse(source), source.split("\n")
    for node in tree.body:
        main = isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        defines = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign)
        if not (main or text or isinstance(node, defines)):
            raise ValueError(f"line {node.lineno} of its file does more than define")
    for part in reversed(list(ast.walk(tree))):
        if isinstance(part, ast.Import | ast.ImportFrom) and (local := _beside(part, tree, folder)):
            if ";" in "".join(lines[part.lineno - 1 : part.end_lineno]) or part not in tree.body:
                raise ValueError(f"line {part.lineno} of its file imports hf_attn, but not in a line of its own")
            lines[part.lineno - 1 : part.end_lineno] = local.split("\n")
    return "\n".join(lines)


def _beside(node: ast.Import | ast.ImportFrom, tree: ast.Module, folder: Path) -> str:
    """An import of ``hf_attn`` as one of the files beside the weights; empty for other imports."""
    names = {alias.name for alias in node.names}
    modules = {node.module or ""} if isinstance(node, ast.ImportFrom) else names
    near = "." * getattr(node, "level", 0)
    foreign = sorted(near + name for name in modules if near or name.partition(".")[0] not in {*PACKAGES, "hf_attn"})
    if foreign:
        raise ValueError(f"line {node.lineno} of its file imports {', '.join(foreign)}")
    if not any(module.partition(".")[0] == "hf_attn" for module in modules):
        return ""
    if isinstance(node, ast.Import):
        alias = node.names[0].asname or "hf_attn"
        used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == alias}
        if names == {"hf_attn"} and used <= set(HOME):
            return AS_PACKAGE.format(name=alias)
    elif node.module in ("hf_attn", "hf_attn.attention") and names <= set(HOME):
        return "\n".join(f"from .{HOME[a.name]} import {a.name} as {a.asname or a.name}" for a in node.names)
    elif (folder / f"{str(node.module).removeprefix('hf_attn.attention.')}.py").exists():
        return ast.unparse(node).replace("from hf_attn.attention.", "from .", 1)
    raise ValueError(f"line {node.lineno} of its file needs more of hf_attn than {' and '.join(HOME)}")
