"""One thread a process, for the same numbers in all and tests that do not wait for each other; a cache that goes."""

import atexit
import logging
import os
import shutil
import tempfile

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "HF_ATTN_CACHE" not in os.environ:
    os.environ["HF_ATTN_CACHE"] = tempfile.mkdtemp(prefix="hf_attn_cache_")
    atexit.register(shutil.rmtree, os.environ["HF_ATTN_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _hub_is_asked_again():
    """What one test found unreachable is not so for the next."""
    yield
    from hf_attn.hub_connection import ask_again

    ask_again()


@pytest.fixture(autouse=True)
def _a_program_in_a_test_leaves_the_log_as_it_was():
    logger = logging.getLogger("hf_attn")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
