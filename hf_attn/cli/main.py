"""The command ``hf-attn``. Nothing heavy is imported before it is known what is asked for."""

import argparse
import ast
import difflib
import importlib
import importlib.util
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..errors import InputError
from ..interface.arguments import command_line
from .demo import demo_command
from .explanation import explain_command, faithfulness_command
from .parser import Parser, columns_given, columns_of_files


def main() -> NoReturn:
    """Run the command line; exit status 0, or 2 with one line on stderr for what the user can mend."""
    command_line(dispatch)


def dispatch(argv: Sequence[str]) -> None:
    """Run one command.

    Args:
        argv: The arguments without the program's name.

    Raises:
        InputError: Unknown command (the nearest is named), bad arguments, or what the command itself refuses.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return
    name, rest = argv[0], list(argv[1:])
    if name == "--version":
        from .. import __version__

        print(f"hf_attn {__version__}")
    elif name in COMMANDS:
        COMMANDS[name](rest)
    elif name in recipes():
        importlib.import_module(f"hf_attn.recipes.{name}").main(rest)
    else:
        raise InputError(f"unknown command {name!r}{nearest(name, [*COMMANDS, *recipes()])}")


def overview() -> str:
    """Return the text of ``hf-attn --help``."""
    commands = {name: str(command.__doc__).splitlines()[0] for name, command in COMMANDS.items()}
    return "\n\n".join(
        [
            "usage: hf-attn RECIPE [--ARGUMENT VALUE ...]\n       hf-attn COMMAND ...",
            "Fine-tune pretrained Transformers with the attention you choose,\nand see where they attend.",
            "Recipes (they train):\n" + definitions(recipes()),
            "Commands:\n" + definitions(commands),
            "`hf-attn RECIPE --help` and `hf-attn COMMAND --help` say what each takes.",
        ]
    )


def definitions(meanings: dict[str, str]) -> str:
    """Return names and what they mean, wrapped to the terminal's width."""
    indent = 4 + max(map(len, meanings), default=0)
    width = max(60, min(120, shutil.get_terminal_size().columns))
    lines = (
        textwrap.fill(f"  {name:<{indent - 4}}  {text}", width, subsequent_indent=" " * indent)
        for name, text in meanings.items()
    )
    return "\n".join(lines) or "  none is installed"


def recipe_folder() -> Path | None:
    """Return the folder of the installed recipes."""
    spec = importlib.util.find_spec("hf_attn.recipes")
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def recipes() -> dict[str, str]:
    """Return the recipes' names and the first lines of their docstrings, read without importing them."""
    folder = recipe_folder()
    files = sorted(folder.glob("[!_]*.py")) if folder else []
    found = {file.stem: ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "" for file in files}
    return {name: text.partition("\n")[0] for name, text in found.items()}


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the end of a message: the nearest known name, or all of them."""
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f": expected one of {', '.join(known)}"


def list_command(argv: list[str]) -> None:
    """Print the recipes and the attention variants, or all that is known of one variant."""
    parser = Parser(prog="hf-attn list", description=list_command.__doc__)
    parser.add_argument(
        "what", nargs="?", default="all", help="recipes, variants, all, or the name of a variant (default: all)"
    )
    what = parser.parse_args(argv).what
    if what in ("all", "recipes"):
        print("Recipes\n\n" + definitions(recipes()) + "\n" * (what == "all"))
    if what in ("all", "variants"):
        from .catalogue import variant_table

        print("Attention variants\n\n" + variant_table())
    elif what != "recipes":
        from .catalogue import describe_variant, known

        if what not in known():
            raise InputError(f"unknown variant {what!r}{nearest(what, ['recipes', 'variants', *known()])}")
        print(describe_variant(what))


def predict_command(argv: list[str]) -> None:
    """Label texts or images, translate, or answer, by a run or another model."""
    parser = Parser(
        prog="hf-attn predict",
        description=predict_command.__doc__,
        epilog="examples:\n  hf-attn predict runs/banking 'my card was swallowed'\n"
        "  hf-attn predict runs/banking mails.csv --text body --output intents.jsonl\n"
        "  hf-attn predict runs/squad 'Who came first?' --context 'Ada came first.'\n"
        "  hf-attn predict runs/flowers photo.jpg holiday/ --top_k 3\n"
        "  hf-attn predict runs/en_de mails.csv --generation '{\"num_beams\": 4}'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("run", help="run folder, other model folder, or Hub id")
    option(
        "texts",
        nargs="+",
        metavar="TEXT|FILE",
        help="texts, or one file: csv, tsv, json, jsonl (each also as .gz, .bz2, .xz, .zst), parquet, arrow, or txt "
        "with a text a line; images: files, folders, or one table of them",
    )
    columns_of_files(parser)
    option(
        "--keep",
        metavar="COLUMN",
        action="append",
        default=[],
        help="one more column of FILE for --output, or all; may be given again (default: those named like an id)",
    )
    option(
        "--top_k",
        type=int,
        metavar="K",
        help="show only the K most probable labels (default: 1 when printed, all in --output)",
    )
    option(
        "--batch_size",
        type=int,
        default=32,
        metavar="N",
        help="texts or images a forward pass; never changes the results (default: 32)",
    )
    option(
        "--generation",
        metavar="JSON",
        help="how a model writes: fields of GenerationConfig, such as num_beams, length_penalty, no_repeat_ngram_size, "
        "or do_sample with a seed (default: as is saved with the model)",
    )
    option("--output", metavar="FILE", help="write to this .jsonl or .parquet file (default: print)")
    option("--overwrite", action="store_true", help="replace --output if it exists (default: refuse)")
    given = parser.parse_args(argv)
    from .prediction_files import predict_to

    predict_to(
        given.run,
        given.texts,
        **columns_given(given),
        delimiter=given.delimiter,
        encoding=given.encoding,
        keep=given.keep,
        top_k=given.top_k,
        batch_size=given.batch_size,
        output=given.output,
        overwrite=given.overwrite,
        generation=given.generation,
    )


def push_command(argv: list[str]) -> None:
    """Put a run on the Hugging Face Hub: model, tokenizer, card, figures and the code of its attention."""
    parser = Parser(prog="hf-attn push", description=push_command.__doc__)
    parser.add_argument("run", help="run folder")
    parser.add_argument("repo_id", metavar="USER/NAME", help="repository on the Hub; made if it does not exist")
    parser.add_argument("--private", action="store_true", help="make the repository private (default: public)")
    parser.add_argument(
        "--space",
        nargs="?",
        const="",
        metavar="USER/SPACE",
        help="also make a Space, in which the model can be tried as by `hf-attn demo` (default: none; without a name: "
        "that of the model)",
    )
    parser.epilog = (
        "The token comes from `hf auth login` or the environment variable HF_TOKEN; it is never printed or uploaded."
    )
    given = parser.parse_args(argv)
    if given.space is not None:
        from ..runs.space import push_with_space
        from .explanation_files import best_of

        method = best_of(given.run)
        print(*push_with_space(given.run, given.repo_id, given.space, method=method, private=given.private), sep="\n")
        if given.private:
            print("Give the Space a secret HF_TOKEN that may read the model, which is private.")
        return
    from ..runs.hub import push

    print(push(given.run, given.repo_id, private=given.private))


def copy_command(argv: list[str]) -> None:
    """Copy a recipe to a place of yours, to edit it; what exists there is never overwritten."""
    parser = Parser(prog="hf-attn copy", description=copy_command.__doc__)
    parser.add_argument("recipe", help=f"one of: {', '.join(recipes()) or 'none is installed'}")
    parser.add_argument(
        "dest", metavar="DEST", nargs="?", default=".", help="folder, or file ending in .py (default: .)"
    )
    given = parser.parse_args(argv)
    folder = recipe_folder()
    if folder is None or given.recipe not in recipes():
        raise InputError(f"unknown recipe {given.recipe!r}{nearest(given.recipe, list(recipes()))}")
    target = Path(given.dest)
    if target.suffix != ".py":
        target = target / f"{given.recipe}.py"
    if target.exists():
        raise InputError(f"{target} exists and is not overwritten: give another place, or remove it first")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / f"{given.recipe}.py", target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    print(f"{target}\nRun it by: python {target} --help")


COMMANDS = {
    "list": list_command,
    "predict": predict_command,
    "explain": explain_command,
    "faithfulness": faithfulness_command,
    "demo": demo_command,
    "push": push_command,
    "copy": copy_command,
}
