"""Fine-tune pretrained Transformers with the attention you choose, and see where they attend."""
