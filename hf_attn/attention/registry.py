"""The register of the variants' names: one class a name, and what is known of it without a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .layer_options import check_options, options_of
from .variant import Variant, has_fused_path, path_owner

NOT_STATED = "not stated"
TRIAL = (4, 8)
"""Heads, and their size, of the instance on which is tried what a class does not state."""


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
        TypeError: what is registered is no class of :class:`Variant`.
    """

    def register(cls: type[Variant]) -> type[Variant]:
        if not (isinstance(cls, type) and issubclass(cls, Variant)):
            raise TypeError(f"{name!r} is {cls!r}, expected a class that derives from hf_attn.Variant")
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
    """Return what is known of a variant: equation, source, parameters, cost, what it refuses.

    A class speaks for itself alone: what it does not state is not taken from the variant that it extends, but counted
    or tried on an instance where that can be, else ``"not stated"``.
    """
    cls = variant_class(name)
    kwargs = {option.name: option.default for option in options_of(cls, given=2).values()}
    refuses = ["a bias on the scores (Swin, T5)"] if not cls.accepts_bias else []
    refuses += ["models without patches"] if cls.needs_patches else []
    return VariantInfo(
        name=name,
        equation=_stated(cls, "equation"),
        source=_stated(cls, "source"),
        parameters=_stated(cls, "parameters_per_layer", _parameters),
        cost=_stated(cls, "cost"),
        identity=_identity(cls, kwargs),
        fused=_fused(cls),
        refuses="; ".join(refuses) or "-",
        kwargs=kwargs,
    )


def _stated(cls: type[Variant], field: str, otherwise: Callable[[type[Variant]], str] = lambda _: NOT_STATED) -> Any:
    """What a class, or a base of it that is no variant of its own, states."""
    for base in cls.__mro__:
        if base is not cls and "name" in vars(base):
            break
        if field in vars(base):
            return vars(base)[field]
    return otherwise(cls)


def _trial(cls: type[Variant], **kwargs: Any) -> Variant | None:
    """An instance with its start values, in float64; None where one cannot be made of its options' defaults."""
    try:
        with torch.random.fork_rng(devices=[]):
            variant = cls(*TRIAL, **kwargs)
            variant.reset_parameters()
        return variant.double().eval()
    except Exception:
        return None


def _parameters(cls: type[Variant]) -> str:
    variant = _trial(cls)
    if variant is None:
        return NOT_STATED
    count = sum(parameter.numel() for parameter in variant.parameters())
    return f"{count} with {TRIAL[0]} heads of {TRIAL[1]}" if count else "0"


def _identity(cls: type[Variant], kwargs: dict[str, Any]) -> str:
    stated = _stated(cls, "identity", lambda _: "")
    if stated is True:
        return "yes"
    options: dict[str, dict[str, Any]] = {"yes": {}} if stated == "" else {}
    options |= {"with mix=0.0": {"mix": 0.0}} if "mix" in kwargs else {}
    for words, given in options.items():
        variant, stock = _trial(cls, **given), _trial(VARIANTS["dot_product"])
        try:
            if variant and stock and torch.allclose(_trial_context(variant), _trial_context(stock), atol=1e-10):
                return words
        except ValueError:
            return NOT_STATED
    return "no"


def _trial_context(variant: Variant) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    inputs = [torch.randn(1, TRIAL[0], 5, TRIAL[1], generator=random, dtype=torch.float64) for _ in range(3)]
    with torch.no_grad():
        return variant(*inputs, need_weights=True)[0]


def _fused(cls: type[Variant]) -> str:
    """The path's name as the class states it that defines the path; "no" where a step below has changed."""
    owner = path_owner(cls)
    if not has_fused_path(cls):
        return "no"
    for base in cls.__mro__[: cls.__mro__.index(owner) + 1]:
        if "fused_path" in vars(base):
            return vars(base)["fused_path"]
    variant = _trial(cls)
    if variant is None or cls.fused is not Variant.fused:
        return NOT_STATED
    query = torch.ones(1, TRIAL[0], 1, TRIAL[1], dtype=torch.float64)
    return "no" if variant.dot_form(query, query, 1.0) is None else "sdpa"


def make_variant(name: str, num_heads: int, head_dim: int, kwargs: dict[str, Any] | None) -> Variant:
    """Build a variant for one layer.

    Raises:
        ValueError: unknown name, or an option that the variant does not have.
    """
    cls = variant_class(name)
    check_options(f"attention variant {name!r}", cls, kwargs or {}, given=2)
    variant = cls(num_heads, head_dim, **(kwargs or {}))
    variant.made_with = dict(kwargs or {})
    return variant


register_variant("dot_product")(Variant)
