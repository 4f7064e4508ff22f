"""Every file of variants: importing this one makes all of them known. A new family is a line here.

Each line has the form ``from .file import …``, by which transformers finds the files that a saved model needs.
"""

from .efficient import Local as Local
from .head_mixing import TalkingHeads as TalkingHeads
from .normalizers import Sparsemax as Sparsemax
from .patch_grid import Focal as Focal
from .similarity import Cosine as Cosine
