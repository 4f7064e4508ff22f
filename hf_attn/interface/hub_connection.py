"""Whether the Hub answers, asked once: its client would retry each file for half a minute."""

import logging
import sys
from pathlib import Path

from ..errors import InputError

logger = logging.getLogger(__name__)

TIMEOUT = 5.0  # seconds for an answer
_answered = _switched_off = False


def use_cache_if_unreachable() -> bool:
    """Ask the Hub for a sign of life; without one, Hub clients in this process use only what is in the cache.

    The question is asked until it was answered once, so that a notebook goes on when the connection is back.

    Returns:
        Whether files can be downloaded.
    """
    global _answered, _switched_off
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if _answered or (constants.HF_HUB_OFFLINE and not _switched_off):
        return not constants.HF_HUB_OFFLINE
    _set_offline(False)
    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
        _answered, _switched_off = True, False
    except Exception:  # the client's library and its exceptions change with its version
        _switched_off = True
        _set_offline(True)
    return _answered


def ask_again() -> None:
    """Let Hub clients try to reach it, if :func:`use_cache_if_unreachable` has kept them from it."""
    global _switched_off
    if _switched_off:
        _switched_off = False
        _set_offline(False)


def optional_file(source: str, name: str) -> Path | None:
    """Return a file of a folder, or of a repository of the Hub that can be reached; None where there is none."""
    from transformers.utils import cached_file

    quiet = ("gated_repo", "missing_entries", "connection_errors")
    try:
        found = cached_file(source, name, **{f"_raise_exceptions_for_{what}": False for what in quiet})
    except (OSError, ValueError):
        return None
    return None if found is None else Path(found)


def _set_offline(offline: bool) -> None:
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = offline
    if "datasets" in sys.modules:  # it keeps a copy
        sys.modules["datasets"].config.HF_HUB_OFFLINE = offline


def check_reachable(model_id: str, cache_dir: str | Path | None = None) -> None:
    """Refuse a model of the Hub that is not in the cache where nothing can be downloaded.

    Raises:
        InputError: it cannot be had.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    if use_cache_if_unreachable():
        return
    cache = Path(cache_dir or constants.HF_HUB_CACHE)
    if not (cache / repo_folder_name(repo_id=model_id, repo_type="model")).exists():
        raise InputError(
            f"model {model_id!r} is no folder here, nor in the cache ({cache}), and the Hub cannot be reached: "
            "offline, give a folder with config.json and model.safetensors, or an id that was downloaded before"
        )
    logger.info("the Hub cannot be reached: %s comes from the cache", model_id)
