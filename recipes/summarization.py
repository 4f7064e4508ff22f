# /// script
# requires-python = ">=3.11"
# dependencies = ["hf_attn[texts]"]
# ///
"""Fine-tune an encoder-decoder to write summaries, or train a new one: the recipe of translation, scored by ROUGE.

    hf-attn summarization --model facebook/bart-base --dataset articles.jsonl --source article --target highlights
    hf-attn summarization --model google-t5/t5-small --source_prefix "summarize: " --dataset … --num_beams 4

It takes the arguments of ``translation``, and leaves the same run folder.
"""

from __future__ import annotations

from hf_attn.interface.arguments import command_line
from hf_attn.recipes import translation


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Train, score, save and describe one run; return its test scores."""
    return translation.main(argv, recipe="summarization")


if __name__ == "__main__":
    command_line(main)
