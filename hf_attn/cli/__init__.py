"""The command ``hf-attn``, a file for each command."""
