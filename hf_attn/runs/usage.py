"""The card's snippet: how a model is loaded and used, by task."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.decoder_tokenizer import FOLDER, KEY
from ..tasks.table import TASKS

if TYPE_CHECKING:
    from .record import RunRecord


def usage(folder: Path, record: "RunRecord") -> str:
    """Return a snippet that loads the model, and what it needs for that."""
    attention = record.config.attention
    own = attention or record.head
    task = TASKS[record.task]
    loading = f'{KEY} = AutoTokenizer.from_pretrained(model_id, subfolder="{FOLDER}")\n'
    beside = loading if KEY in config_of(folder) else ""
    code = (task.target.USAGE or task.input.USAGE).format(
        auto=task.auto,
        trust=", trust_remote_code=True" if own else "",
        beside=beside,
        writer=KEY if beside else "tokenizer",
    )
    if attention and is_own_variant(attention):
        saved = code_file_of(attention, folder).exists()
        need = f"The attention of this model is the variant `{attention}`, of neither transformers nor `hf_attn`. "
        need += "Loading needs the file that registers it imported"
        if saved:
            need += (
                "; or, where `hf_attn` is not imported, `trust_remote_code=True`, which runs the Python files beside "
                "the weights: read them first."
            )
        else:
            need += ": its code is not beside the weights."
            code = code.replace(", trust_remote_code=True", "")
    elif own:
        what = f"The attention of this model is the variant `{attention}`" if attention else "This model's head is one"
        need = (
            f"{what} of `hf_attn`, which transformers does not have. "
            "So it needs `import hf_attn` before it is loaded, or `trust_remote_code=True`, which runs the Python "
            "files beside the weights: read them first. Without either, loading fails; it never runs another attention."
        )
    else:
        need = "The model has its architecture's own attention and loads with plain transformers."
    if is_of_timm(config_of(folder)):
        need += " It runs on timm: `pip install timm`."
    return f"{need}\n\n```python\nimport hf_attn\n\nmodel_id = {json.dumps(folder.resolve().name)}\n{code}\n```"


def config_of(folder: Path) -> dict[str, Any]:
    """Return what config.json of a model holds; nothing where there is none."""
    path = folder / "config.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def is_of_timm(config: dict[str, Any]) -> bool:
    """Return whether the model, or the encoder below its head, is one of timm, by its configuration."""
    return "timm_wrapper" in (config.get("model_type"), (config.get("backbone_config") or {}).get("model_type"))


def is_own_variant(attention: str) -> bool:
    """Return whether a variant is the user's own."""
    from ..attention.own_variant import is_own
    from ..attention.registry import VARIANTS

    return attention in VARIANTS and is_own(VARIANTS[attention])


def code_file_of(attention: str, folder: Path) -> Path:
    """Return where the code of a user's own variant is, if it could be saved with the model."""
    from ..attention.own_variant import code_file

    return folder / code_file(attention)
