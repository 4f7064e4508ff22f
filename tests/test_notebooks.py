"""The notebooks run from top to bottom, and are stored without what a run left in them."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PICTURES = {"01_fine_tune_text": 2, "03_image_attention": 3, "04_where_does_it_look": 6, "05_translate_and_align": 2}
SHARED = Path(os.environ.get("HF_ATTN_SHARED") or Path(__file__).parents[2] / "shared").resolve()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    notebook = nbformat.read(path, as_version=4)
    if "HF_ATTN_SHARED" in notebook.cells[0].source and not SHARED.is_dir():
        pytest.skip(f"its data is not in {SHARED}: set HF_ATTN_SHARED")
    monkeypatch.setenv("HF_ATTN_SHARED", str(SHARED))
    monkeypatch.setenv("HF_ATTN_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("HF_ATTN_BUDGET", "--max_steps 2 --limit 20 --batch_size 4")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(path.parent)}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) == PICTURES[path.stem]
    assert os.listdir(tmp_path / "run")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
