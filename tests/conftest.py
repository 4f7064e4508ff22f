"""One thread a process, for the same numbers in all and tests that do not wait for each other; a cache that goes."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "HF_ATTN_CACHE" not in os.environ:
    os.environ["HF_ATTN_CACHE"] = tempfile.mkdtemp(prefix="hf_attn_cache_")
    atexit.register(shutil.rmtree, os.environ["HF_ATTN_CACHE"], ignore_errors=True)
