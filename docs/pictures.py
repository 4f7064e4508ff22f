"""Draw the pictures of explain.md: ``python docs/pictures.py``, about 10 minutes on a core."""

import os
from pathlib import Path
from tempfile import mkdtemp

from hf_attn.cli.main import dispatch
from hf_attn.interface.plotting import save
from hf_attn.models.quickstart import checkpoint
from hf_attn.recipes import text_classification

SHARED = Path(os.environ.get("HF_ATTN_SHARED", "../shared"))
PLACE = Path(__file__).parent / "explain"
REVIEW = "This movie was not a great film, but the acting of the unbelievably charming lead was wonderful."


def main() -> None:
    """Draw them."""
    from hf_attn.explain import explain

    PLACE.mkdir(exist_ok=True)
    run, data = Path(mkdtemp()) / "sst2", SHARED / "data/sst2"
    argv = ["--model", str(checkpoint()), "--dataset", str(data), "--limit", "2000", "--epochs", "1"]
    text_classification.main([*argv, "--output_dir", str(run)])
    save(explain(run, REVIEW, method="integrated_gradients").plot(), PLACE / "text.png")
    from skimage.data import astronaut

    vit = SHARED / "checkpoints/vit-tiny-patch16-224-in1k"
    save(explain(vit, astronaut(), method="lime").plot(), PLACE / "image.png")
    dispatch(["faithfulness", str(run), "--data", str(data / "validation.csv"), "--limit", "12"])
    (run / "figures/faithfulness.png").rename(PLACE / "ranking.png")


if __name__ == "__main__":
    main()
