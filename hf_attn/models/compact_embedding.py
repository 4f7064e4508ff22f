"""Train only those rows of the token embedding that the training texts use.

A row that no text uses gets no gradient, and AdamW leaves it where it is (decay aside). In BERT's vocabulary that is
most rows; leaving them out of gradients, norms, optimizer and checkpoints changes nothing but the time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

WORTHWHILE = 0.75


class CompactEmbedding(nn.Module):
    """The rows ``used`` of an embedding as a parameter; the others are looked up where they were, and are not trained.

    Args:
        embedding: of shape (vocabulary, size).
        used: token ids, (rows,) int64, ascending.
    """

    place: Tensor
    pretrained: Tensor

    def __init__(self, embedding: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(embedding.weight.detach()[used])
        place = torch.full((embedding.num_embeddings,), -1, dtype=torch.int64, device=used.device)
        place[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("pretrained", embedding.weight.detach(), persistent=False)
        padding = embedding.padding_idx
        self.padding_idx = None if padding is None or place[padding] < 0 else int(place[padding])

    def forward(self, input_ids: Tensor) -> Tensor:
        """Embed token ids (batch, tokens) as (batch, tokens, size)."""
        place = self.place[input_ids]
        rows = F.embedding(place.clamp_min(0), self.rows, self.padding_idx)
        if self.training:
            return rows
        return torch.where((place >= 0).unsqueeze(-1), rows, F.embedding(input_ids, self.pretrained))


@contextmanager
def compact_embedding(model: PreTrainedModel, used: Sequence[int]) -> Iterator[None]:
    """Train only the rows ``used`` of the token embedding inside the block, which leaves the model as it was built.

    Token ids without a row, such as a configuration may name, are left out. Nothing happens where the embedding is not
    trained, is shared with another layer, or is mostly used.
    """
    embedding: Any = model.get_input_embeddings()
    known = embedding.num_embeddings if _can_compact(model, embedding) else 0
    rows = torch.tensor(sorted({token for token in used if 0 <= token < known}), dtype=torch.int64)
    if len(rows) > WORTHWHILE * known or not known:
        yield
        return
    name = next(name for name, module in model.named_modules() if module is embedding)
    parent = model.get_submodule(name.rpartition(".")[0])
    compact = CompactEmbedding(embedding, rows.to(embedding.weight.device)).train(embedding.training)
    setattr(parent, name.rpartition(".")[2], compact)
    try:
        yield
    finally:
        with torch.no_grad():
            embedding.weight[rows] = compact.rows.to(embedding.weight)
        setattr(parent, name.rpartition(".")[2], embedding)


def _can_compact(model: PreTrainedModel, embedding: Any) -> bool:
    if type(embedding) is not nn.Embedding or embedding.max_norm is not None or not embedding.weight.requires_grad:
        return False
    owners = [name for name, p in model.named_parameters(remove_duplicate=False) if p is embedding.weight]
    return len(owners) == 1
