"""What a model folder must hold before anything is loaded from it."""

import re
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from ..interface.foreign_files import read_json
from ..interface.hub_connection import check_reachable
from .adapter_files import base_of, is_adapter
from .sizes import absurd_sizes

WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
INDEX = "model.safetensors.index.json"
READ = (".json", ".safetensors", ".txt", ".model", ".jinja")
FOREIGN = ("adapter_model*.bin", "pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "tf_model*.h5", "flax_model*.msgpack")
SHARD = r"[^/\\\0:]+\.safetensors"
HUB_ID = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"
CONVERT = (
    "python -c \"import torch, safetensors.torch as s; w = torch.load('{path}', weights_only=True); "
    "s.save_file({{k: v.clone() for k, v in w.items()}}, '{target}', metadata={{'format': 'pt'}})\""
)


def check_model_folder(
    source: str | Path,
    *,
    also: Callable[[Path], list[str]] | None = None,
    cache_dir: str | Path | None = None,
) -> None:
    """Refuse a folder from which no model can be loaded, without loading it, or a Hub id that is out of reach.

    Args:
        source: A model folder (a run, or what ``save_pretrained`` or a download left), or a Hub id.
        also: Gives the faults of what must be there beside the model, such as a tokenizer.
        cache_dir: Where downloads of the Hub are; None is the client's own.

    Raises:
        InputError: The folder is missing; it has no ``config.json`` or an unreadable one; its weights are missing,
            incomplete, damaged, or only a pickle, which can run code when it is opened; what ``also`` finds; the Hub
            cannot be reached and the model is not in the cache.
    """
    folder = Path(source)
    if not folder.exists():
        if re.fullmatch(HUB_ID, str(source)):
            check_reachable(str(source), cache_dir)
            return
        raise InputError(f"model folder {str(source)!r} does not exist: expected one with config.json and weights")
    if not folder.is_dir():
        raise InputError(f"{str(source)!r} is a file, expected a model folder with config.json and model.safetensors")
    wrong = odd_files(folder) or [*config_faults(folder), *weight_faults(folder)]
    if is_adapter(folder) and not wrong:
        wrong += base_faults(folder)
    if also and not wrong:
        wrong += also(folder)
    if wrong:
        raise InputError(f"model folder {str(source)!r}: " + "; ".join(wrong))


def base_faults(source: str | Path) -> list[str]:
    """Return why an adapter's base cannot be loaded, without loading it."""
    try:
        base = base_of(source)
        check_model_folder(base)
    except InputError as error:
        return [f"the base of the adapter: {error}; adapter_config.json names it under base_model_name_or_path"]
    return []


def odd_files(folder: Path) -> list[str]:
    """Return the files of a model that are pipes, devices or folders: to read one would wait for ever."""
    found = [path for path in folder.iterdir() if path.suffix in READ and path.exists() and not path.is_file()]
    return [f"{path.name} is no plain file" for path in sorted(found)]


def config_faults(folder: Path) -> list[str]:
    """Return what is wrong with the folder's configuration."""
    adapter = is_adapter(folder)
    path = folder / ("adapter_config.json" if adapter else "config.json")
    if not path.exists():
        return ["config.json is missing"]
    try:
        config = read_json(path)
    except InputError as error:
        return [f"{path.name} is not readable JSON ({error}): copy or download it again"]
    if not isinstance(config, dict) or not (adapter or config.get("model_type") or config.get("pretrained_cfg")):
        return [f"{path.name} names no model_type, so it is not a transformers model"]
    return [f"{path.name}: {fault}" for fault in absurd_sizes(config)]


def weight_faults(folder: Path) -> list[str]:
    """Return what is wrong with the folder's weights; every safetensors file's header is read."""
    files = [folder / name for name in WEIGHTS if (folder / name).exists()]
    if not files and (folder / INDEX).exists():
        try:
            shards = shards_of(folder / INDEX)
        except InputError as error:
            return [f"{INDEX} is damaged ({error}): copy or download it again"]
        missing = [name for name in shards if not (folder / name).exists()]
        if missing:
            return [f"{len(missing)} of {len(shards)} weight files are missing, the first is {missing[0]}"]
        files = [folder / name for name in shards]
    if not files:
        return [missing_weights(folder)]
    return [fault for file in files if (fault := damage(file))]


def shards_of(index: Path) -> list[str]:
    """Return the weight files that an index names, all beside it.

    Raises:
        InputError: it is no index, or names something else than safetensors files of its own folder.
    """
    content = read_json(index)
    named = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(named, dict) or not named:
        raise InputError("it has no weight_map of parameters and their files")
    wrong = [name for name in named.values() if not (isinstance(name, str) and re.fullmatch(SHARD, name))]
    if wrong:
        raise InputError(
            f"weight_map names {len(wrong)} files such as {str(wrong[0])[:80]!r}, expected safetensors in this folder"
        )
    return sorted(set(named.values()))


def missing_weights(folder: Path) -> str:
    """Say that there are no safetensors, and how to make them from what is there."""
    foreign = sorted(file for pattern in FOREIGN for file in folder.glob(pattern))
    if not foreign:
        return "it has no weights (model.safetensors): training did not end, or the download is incomplete"
    if len(foreign) > 1 or foreign[0].suffix != ".bin":
        return f"its weights are only in {foreign[0].name}, expected model.safetensors: convert them first"
    name = "adapter_model.safetensors" if is_adapter(folder) else "model.safetensors"
    command = CONVERT.format(path=foreign[0], target=folder / name)
    return (
        f"its weights are only a pickle ({foreign[0].name}), which can run code when it is opened, so it is not read: "
        f"convert it with `{command}`"
    )


def damage(file: Path) -> str | None:
    """Return what is wrong with a safetensors file: a header that cannot be read, or data cut short."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            empty = not list(tensors.keys())
    except (SafetensorError, OSError) as error:
        return f"{file.name} is damaged ({error}): copy, download or train it again"
    return f"{file.name} holds no tensors" if empty else None
