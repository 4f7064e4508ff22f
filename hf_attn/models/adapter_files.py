"""What a folder that PEFT saved says of its adapter, without loading it."""

from pathlib import Path

from ..attention.unsaved import UNSAVED
from ..errors import InputError
from ..interface.foreign_files import read_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


PREFIX = "base_model.model."


TASK_TYPES = {
    "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification",
    "FEATURE_EXTRACTION": "feature-extraction",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForImageClassification": "image-classification",
}
"""Tasks by what PEFT calls them, or by how the name of the class ends that it was put on."""


def is_adapter(source: str | Path) -> bool:
    """Return whether a folder holds an adapter and no model of its own."""
    folder = Path(source)
    return (folder / CONFIG).is_file() and not (folder / "config.json").exists()


def base_of(source: str | Path) -> str:
    """Return the folder or Hub id of an adapter's base.

    Raises:
        InputError: the adapter names none, or one that is an adapter itself.
    """
    try:
        base = read_json(Path(source) / CONFIG).get("base_model_name_or_path")
    except (InputError, AttributeError) as error:
        raise InputError(f"{source}: {CONFIG} is not readable JSON ({error})") from None
    name = f"adapter {str(source)!r}"
    if not isinstance(base, str) or not base:
        raise InputError(
            f"{name}: {CONFIG} names no base model: put its folder or Hub id under base_model_name_or_path"
        )
    if base.startswith(UNSAVED):
        raise InputError(f"{name}: its base was never saved ({base})")
    if is_adapter(base):
        raise InputError(f"{name}: its base {base!r} is an adapter too: merge that one first, by merge_and_unload()")
    return base


def task_of(source: str | Path) -> str | None:
    """Return the task that an adapter says it is for, as in :func:`hf_attn.load`; None where it says nothing."""
    config = read_json(Path(source) / CONFIG)
    cls = str((config.get("auto_mapping") or {}).get("base_model_class"))
    return TASK_TYPES.get(config.get("task_type") or cls[cls.find("For") :])


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an adapter's weights, by the names that they have in the base."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as tensors:
        return {key.removeprefix(PREFIX): tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118


def has_head(source: str | Path) -> bool:
    """Return whether an adapter was saved with a head: weights that are neither low-rank parts nor embeddings."""
    names = weight_shapes(Path(source) / WEIGHTS)
    return any("lora_" not in name and "embed" not in name for name in names)
