"""The register of the variants' names: one class a name, and what is known of it without a model."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .layer_options import check_options
from .variant import Variant


@dataclass(frozen=True)
class VariantInfo:
    """What is known of a variant without a model: a row of ``hf-attn list``."""

    name: str
    equation: str
    source: str
    parameters: str
    cost: str
    identity: str
    fused: str
    refuses: str
    kwargs: dict[str, Any]


VARIANTS: dict[str, type[Variant]] = {}


def register_variant(name: str) -> Callable[[type[Variant]], type[Variant]]:
    """Make a :class:`Variant` known by ``name``, to models, recipes and ``hf-attn list``.

    Raises:
        ValueError: the name is taken by another class.
    """

    def register(cls: type[Variant]) -> type[Variant]:
        known = VARIANTS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"attention variant {name!r} is already {known.__module__}.{known.__qualname__}")
        cls.name = name
        VARIANTS[name] = cls
        return cls

    return register


def list_variants() -> list[str]:
    """Return the names of all variants."""
    return list(VARIANTS)


def variant_class(name: str) -> type[Variant]:
    """Return the class of a variant.

    Raises:
        ValueError: no variant has this name.
    """
    if name not in VARIANTS:
        raise ValueError(
            f"unknown attention variant {name!r}: expected one of {', '.join(VARIANTS)}; one of your own is known "
            "where the file that registers it is imported"
        )
    return VARIANTS[name]


def variant_info(name: str) -> VariantInfo:
    """Return what is known of a variant: equation, source, parameters, cost, what it refuses."""
    cls = variant_class(name)
    options = list(inspect.signature(cls.__init__).parameters.values())[3:]
    kwargs = {option.name: option.default for option in options}
    refuses = ["a bias on the scores (Swin, T5)"] if not cls.accepts_bias else []
    refuses += ["models without patches"] if cls.needs_patches else []
    return VariantInfo(
        name=name,
        equation=cls.equation,
        source=cls.source,
        parameters=cls.parameters_per_layer,
        cost=cls.cost,
        identity="yes" if cls.identity else "with mix=0.0",
        fused=cls.fused_path,
        refuses="; ".join(refuses) or "-",
        kwargs=kwargs,
    )


def make_variant(name: str, num_heads: int, head_dim: int, kwargs: dict[str, Any] | None) -> Variant:
    """Build a variant for one layer.

    Raises:
        ValueError: unknown name, or an option that the variant does not have.
    """
    cls = variant_class(name)
    check_options(f"attention variant {name!r}", cls, kwargs or {}, given=2)
    return cls(num_heads, head_dim, **(kwargs or {}))


register_variant("dot_product")(Variant)
