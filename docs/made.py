"""Write what of these pages is made from the code: ``python docs/made.py``. A test holds them to it."""

import ast
import importlib.util
import re
import sys
from functools import partial
from pathlib import Path

from hf_attn.attention import list_variants, variant_info
from hf_attn.explain.methods import METHODS

DOCS = Path(__file__).parent
PACKAGE, BENCHMARKS = DOCS.parent / "hf_attn", DOCS.parent / "benchmarks"
NAME = r"[A-ZÀ-Þ][\w'’-]+"
CITED = re.compile(rf"{NAME}(?: et al\.| (?:&|and) {NAME})?,? (?:19|20)\d\d(?:, (?:[^.;)]|\.(?= ?\d))+)?")


def variants() -> str:
    """All that is known of the variants, as a table."""
    head = (
        "variant | equation | parameters a layer | identity at start | fused path | cost | refuses | options | source"
    )
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    for name in list_variants():
        info = variant_info(name)
        options = ", ".join(f"`{key}={value!r}`" for key, value in info.kwargs.items()) or "-"
        cells = (
            info.equation,
            info.parameters,
            info.identity,
            info.fused,
            info.cost,
            info.refuses,
            options,
            info.source,
        )
        lines.append("| " + " | ".join([f"`{name}`", *(cell.replace("|", "\\|") for cell in cells)]) + " |")
    return "\n".join(lines)


def methods() -> str:
    """The methods of explanation, as a table."""
    lines = ["| method | what a weight is | sign | cost | options | source |", "|" + "---|" * 6]
    for method in METHODS.values():
        said = " ".join((method.function.__doc__ or "").split("\n\n")[0].split())
        said = re.sub(rf" \((?:{CITED.pattern})[^)]*\)", "", said).replace("|", "\\|")
        options = ", ".join(f"`{name}={value!r}`" for name, value in method.options.items()) or "-"
        sign = "for and against" if method.signed else "size alone"
        lines.append(f"| `{method.name}` | {said} | {sign} | {method.cost} | {options} | {method.source} |")
    return "\n".join(lines)


def papers() -> str:
    """What the docstrings and the variants cite, and where."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE.parent).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                where = f"`{place}`" + (f" `{node.name}`" if not isinstance(node, ast.Module) else "")
                for cited in CITED.findall(text):
                    found.setdefault(cited.strip(), set()).add(where)
    for name in list_variants():
        if CITED.match(source := variant_info(name).source):
            found.setdefault(source, set()).add(f"variant `{name}`")
    lines = ["| paper, equation | where |", "|---|---|"]
    return "\n".join([*lines, *(f"| {cited} | {', '.join(sorted(found[cited]))} |" for cited in sorted(found))])


def measured(benchmark: str) -> str:
    """The table of the runs that a benchmark has kept."""
    path = BENCHMARKS / f"{benchmark}.py"
    spec = importlib.util.spec_from_file_location(benchmark, path)
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table: str = module.table(module.Runs(module.RESULTS))
    return table if len(table.splitlines()) > 2 else "No run has been kept yet."


def pages() -> dict[Path, str]:
    """Each page with its table as it is now."""
    made = {}
    tables = {"variants": variants, "papers": papers, "explain": methods}
    measurements = {name: name for name in ("few_labels", "rationales", "recommendation")}
    measurements |= {"recipes/translation": "translation", "recipes/token_classification": "configurations"}
    tables |= {page: partial(measured, benchmark) for page, benchmark in measurements.items()}
    for name, table in tables.items():
        path = DOCS / f"{name}.md"
        before, mark, rest = path.read_text("utf-8").partition("<!-- made -->\n")
        made[path] = before + mark + table() + "\n" + "<!-- end -->" + rest.partition("<!-- end -->")[2]
    return made


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
