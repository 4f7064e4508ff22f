"""Augmentation of image batches, each number of it a pure function of (seed, draw)."""

from .augment import Augment
from .draws import uniform
from .rand_augment import RandAugment

__all__ = ["Augment", "RandAugment", "uniform"]
