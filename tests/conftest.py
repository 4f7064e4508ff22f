"""One thread a process, for the same numbers in all and tests that do not wait for each other; a cache that goes."""

import atexit
import base64
import gc
import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "HF_ATTN_CACHE" not in os.environ:
    os.environ["HF_ATTN_CACHE"] = tempfile.mkdtemp(prefix="hf_attn_cache_")
    atexit.register(shutil.rmtree, os.environ["HF_ATTN_CACHE"], ignore_errors=True)

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTjW2wAAAABJRU5ErkJggg==")
LOOKED_AT = ("test_figures", "test_image_command", "test_run_folder", "test_security_text", "test_run")
"""Modules of tests for which the pictures of a run are rendered; elsewhere they are drawn, and written as one pixel."""

SHARING = ("test_architectures", "test_maps", "test_model_classes")
"""Modules of tests that try every architecture, and so make their tiny models once, in one process."""
LONG = (*SHARING, "test_resume", "test_notebooks", "test_image_models", "test_hub", "test_recipe", "test_image_recipe")


def pytest_collection_modifyitems(items):
    """Let what takes long begin first, so that no process waits at the end."""
    items.sort(key=lambda item: item.module.__name__ not in LONG)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let a module stay in one process, in the order of above: what it sets up is set up once."""
    from xdist.scheduler import LoadFileScheduling

    class ByModule(LoadFileScheduling):
        def _split_scope(self, nodeid):
            name = Path(super()._split_scope(nodeid)).stem
            return "architectures" if name in SHARING else name

    config.option.loadscopereorder = False
    return ByModule(config, log)


@pytest.fixture(autouse=True, scope="module")
def _pictures_are_rendered_where_they_are_looked_at(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ not in LOOKED_AT:
            patch.setattr("hf_attn.runs.figures.save", lambda figure, path: path.write_bytes(PIXEL))
        yield


@pytest.fixture(autouse=True, scope="module")
def _what_is_imported_is_no_garbage():
    """Leave it out of later collections, of which each would go through all of torch and transformers."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@pytest.fixture(autouse=True)
def _hub_is_asked_again():
    """What one test found unreachable is not so for the next."""
    yield
    from hf_attn.interface.hub_connection import ask_again

    ask_again()


@pytest.fixture(autouse=True)
def _a_program_in_a_test_leaves_the_log_as_it_was():
    logger = logging.getLogger("hf_attn")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
