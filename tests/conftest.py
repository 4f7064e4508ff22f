"""One thread a process, for the same numbers in all of them and tests that do not wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
