"""What is kept of a model, and its answers in words: as labels have them."""

from ..labels.answers import COLUMNS as COLUMNS
from ..labels.answers import printed as printed
from ..labels.labels import outputs as outputs
