"""Token merging in vision transformers: like tokens become one between the attention and the MLP of each block.

Bolya et al. 2023, "Token Merging: Your ViT But Faster", section 3. By hooks alone, for training and inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ...attention.dispatch import SLOT, slot_of
from ...attention.efficient import Local
from ...attention.layers import find_layers
from ...errors import InputError
from .drop_path import Skip
from .token_matching import Merging, match

FIRST_TOKENS = {"vit": 1, "vit_msn": 1, "deit": 2, "dinov2": 1, "dinov2_with_registers": 1}
"""Model types whose blocks are known to work on any number of tokens, and their tokens before registers and patches."""
KEYS = ("k_proj", "key")
NORMS = ("layernorm_after", "norm2")


class MergingBlock:
    """The hooks of one block; blocks hand the sizes of their tokens on."""

    def __init__(self, r: int, first: int, heads: int, previous: MergingBlock | None) -> None:
        self.r, self.first, self.heads, self.previous = r, first, heads, previous
        self.size: Tensor | None = None
        self.keys: Tensor | None = None
        self.merging: Merging | None = None
        self.tokens = 0

    def install(self, block: nn.Module, attention: nn.Module, key: nn.Module, norm: nn.Module, mlp: nn.Module) -> list:
        """Put the hooks on a block and its parts, and return their handles.

        What records hidden states sees the merged ones; what skips the block, its tokens before they are merged.
        """
        end = block.register_forward_hook(self.end, prepend=True)
        for number, hook in list(block._forward_hooks.items()):
            if isinstance(hook, Skip):
                block._forward_hooks.move_to_end(number, last=False)  # type: ignore[attr-defined]
        return [
            end,
            block.register_forward_pre_hook(self.begin),
            attention.register_forward_pre_hook(self.weigh, with_kwargs=True),
            key.register_forward_hook(self.remember),
            norm.register_forward_pre_hook(self.merge),
            mlp.register_forward_hook(self.unmerge),
        ]

    @property
    def left(self) -> Tensor | None:
        """Sizes of the tokens that leave the block, (batch, tokens)."""
        return self.size if self.merging is None else self.merging.size

    def begin(self, block: nn.Module, args: tuple[Any, ...]) -> None:
        """Take over the sizes that the block before left; None while each token is one patch."""
        self.size = self.previous.left if self.previous is not None else None

    def weigh(self, attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Proportional attention: softmax(q·k/√d + log size), the logarithm as a mask (eq. 1)."""
        if self.size is None:
            return None
        hidden, mask = args[0] if args else kwargs["hidden_states"], args[1] if len(args) > 1 else None
        mask = kwargs.get("attention_mask") if mask is None else mask
        if mask is not None:
            raise ValueError("token merging cannot honour an attention mask over patches: leave one of them out")
        kwargs = {**kwargs, "attention_mask": self.size.log().to(hidden.dtype)[:, None, None, :]}
        return ((hidden, *args[2:]) if args else args), kwargs

    def remember(self, key: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Keep the keys, (batch, tokens, heads · d), as their mean over heads."""
        self.keys = output.detach().unflatten(-1, (self.heads, -1)).mean(-2)

    def merge(self, norm: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        """Merge what goes into the MLP."""
        (hidden,) = args
        r = min(self.r, (hidden.shape[1] - self.first) // 2)
        keys, self.keys, self.merging = self.keys, None, None
        if not r or keys is None:
            return None
        size = hidden.new_ones(hidden.shape[:2], dtype=torch.float32) if self.size is None else self.size
        self.merging = match(keys, size, r, self.first)
        return (self.merging.merge(hidden),)

    def unmerge(self, mlp: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """Give all tokens back, to be added to the residual path as the block has it."""
        return None if self.merging is None else self.merging.unmerge(output)

    def end(self, block: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Merge the sum; the mean of equal MLP outputs is the output itself."""
        hidden = output[0] if isinstance(output, tuple) else output
        if self.merging is not None:
            hidden = self.merging.merge(hidden)
        self.tokens = hidden.shape[1]
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


class MergedTokens:
    """Token merging on a model, to be removed."""

    def __init__(self, blocks: Sequence[MergingBlock], hooks: Sequence[RemovableHandle]) -> None:
        self.blocks, self.hooks = list(blocks), list(hooks)

    @property
    def tokens(self) -> list[int]:
        """Tokens after each block in the last pass."""
        return [block.tokens for block in self.blocks]

    def remove(self) -> None:
        """Give the model its tokens back."""
        while self.hooks:
            self.hooks.pop().remove()


def merge_tokens(model: nn.Module, r: int) -> MergedTokens:
    """Merge ``r`` tokens in each block of ``model`` from now on, in training and in evaluation.

    Keys decide which; an attention weighs a token by the patches it stands for; the class token and registers stay.
    Attention variants take the weighing as a bias on their scores. The state dict stays as it is.

    Args:
        model: ViT, DeiT, DINOv2 or ViT-MSN of transformers, with an attention variant or without.
        r: tokens a block, 0 or more; a block merges at most half of its patches. 8 is usual for ViT-S and -Ti at 224.

    Raises:
        InputError: another architecture, or a variant that takes no bias or looks at positions.
    """
    if r < 0:
        raise InputError(f"token merging {r}: expected the number of tokens that each block merges, 0 or more")
    config = getattr(model, "config", None)
    kind = str(getattr(config, "model_type", type(model).__name__)).removeprefix("hf_attn_")
    if kind == "head":
        raise InputError("token merging leaves no grid of patches for a head over the feature map: choose one of them")
    if kind not in FIRST_TOKENS:
        raise InputError(
            f"token merging is for the architectures {', '.join(FIRST_TOKENS)}, not {kind}: leave it out or choose one"
        )
    first = FIRST_TOKENS[kind] + getattr(config, "num_register_tokens", 0)
    layers = find_layers(model)
    if wrong := {reason for module in layers.values() if (reason := _refused(module))}:
        raise InputError("; ".join(sorted(wrong)))
    blocks: list[MergingBlock] = []
    hooks: list[RemovableHandle] = []
    if not r:
        return MergedTokens(blocks, hooks)
    modules = dict(model.named_modules())
    for name, attention in layers.items():
        block = modules[name.rpartition(".")[0]]
        key, norm, mlp = _part(attention, KEYS), _part(block, NORMS), _part(block, ("mlp",))
        merging = MergingBlock(r, first, config.num_attention_heads, blocks[-1] if blocks else None)  # type: ignore[union-attr]
        hooks += merging.install(block, attention, key, norm, mlp)
        blocks.append(merging)
    return MergedTokens(blocks, hooks)


@contextmanager
def merged_tokens(model: nn.Module, r: int) -> Iterator[MergedTokens]:
    """Merge tokens inside the block; see :func:`merge_tokens`."""
    handle = merge_tokens(model, r)
    try:
        yield handle
    finally:
        handle.remove()


def _refused(attention: nn.Module) -> str:
    """Why the variant on a layer cannot go with token merging, if it cannot."""
    if not hasattr(attention, SLOT):
        return ""
    variant = slot_of(getattr(attention, SLOT))
    if isinstance(variant, Local) or getattr(variant, "needs_patches", False):
        return f"attention variant {variant.name!r} looks at the places of tokens, which token merging moves"
    if not variant.accepts_bias:
        return f"attention variant {variant.name!r} takes no bias on its scores, by which token merging weighs tokens"
    return ""


def _part(module: nn.Module, names: Sequence[str]) -> nn.Module:
    for name, child in module.named_children():
        if name in names:
            return child
    kind = type(module).__name__
    raise InputError(f"{kind} has no {' or '.join(names)}, which token merging needs: use a newer transformers")
