"""``python -m hf_attn.cli`` is ``hf-attn``."""

from .main import main

if __name__ == "__main__":
    main()
