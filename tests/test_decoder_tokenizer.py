"""A decoder with tokens of its own: each side reads and writes with its tokenizer, and no other one is taken for it."""

import json
import os
import re
import shutil

import interpreter
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny_bert import WORDS, save_tiny_bert
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, EncoderDecoderModel, GPT2Config, GPT2LMHeadModel

import hf_attn
from hf_attn.errors import InputError
from hf_attn.models import load_tokenizer
from hf_attn.models.new_tokenizer import train_tokenizer
from hf_attn.models.paired import paired_checkpoint
from hf_attn.recipes import translation
from hf_attn.runs import hub
from hf_attn.tasks.inputs import text

GERMAN = dict(zip(WORDS, ["Mein", "Straße", "war", "Übel", "von", "Große", "MÄDCHEN", "im"], strict=False))
DECODER = (
    "model_type: gpt2\nvocab_size: 300\nn_embd: 24\nn_layer: 1\nn_head: 2\nn_positions: 128\ninitializer_range: 0.2\n"
    "resid_pdrop: 0.0\nembd_pdrop: 0.0\nattn_pdrop: 0.0\n"
)
FOLDER = "decoder_tokenizer"


def save_words(folder, count=400):
    """Two words, and what the first is in German, which the encoder's tokenizer cannot write."""
    random = torch.Generator().manual_seed(0)
    known = list(GERMAN)
    folder.mkdir()
    drawn = torch.randint(0, len(known), (count, 2), generator=random).tolist()
    rows = [{"source": " ".join(known[n] for n in row), "target": GERMAN[known[row[0]]]} for row in drawn]
    for split, some in (("train", rows[24:]), ("validation", rows[:12]), ("test", rows[12:24])):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in some]
        (folder / f"{split}.jsonl").write_text("".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder_tokenizer")
    save_tiny_bert(folder / "bert")
    save_words(folder / "data")
    (folder / "decoder.yaml").write_text(DECODER)
    return folder


def arguments(place, run, *more):
    argv = ["--model", place / "bert", "--decoder", place / "decoder.yaml", "--dataset", place / "data"]
    argv += ["--output_dir", run, "--epochs", "5", "--lr", "5e-3", "--batch_size", "8", "--max_new_tokens", "12"]
    return [str(word) for word in [*argv, "--precision", "no", "--eval_generated", "6", "--metric", "chrf", *more]]


@pytest.fixture(scope="module")
def run(place):
    translation.main(arguments(place, place / "run"))
    return place / "run"


@pytest.fixture
def copy(run, tmp_path):
    """A run that may be spoiled."""
    return shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))


def sources(place):
    return [json.loads(line)["source"] for line in (place / "data/test.jsonl").read_text("utf-8").splitlines()]


def test_capitals_and_umlauts_are_written(run):
    rows = pd.read_parquet(run / "predictions.parquet")
    assert (rows["prediction"] == rows["reference"]).mean() > 0.7
    assert {"Ü", "ß", "Ä"} <= set("".join(rows["prediction"]))


def test_the_class_and_both_tokenizers_load_and_write_the_same(run, place):
    model = AutoModelForSeq2SeqLM.from_pretrained(run)
    reads = AutoTokenizer.from_pretrained(run)
    writes = AutoTokenizer.from_pretrained(run, subfolder=FOLDER)
    assert isinstance(model, EncoderDecoderModel) and model.config.decoder.vocab_size == len(writes) != len(reads)
    named = model.config.decoder_start_token_id, model.config.eos_token_id, model.config.pad_token_id
    assert named == (writes.bos_token_id, writes.eos_token_id, writes.pad_token_id)
    assert model.config.encoder.pad_token_id == reads.pad_token_id != writes.pad_token_id
    given = reads(sources(place), return_tensors="pt", padding=True)
    own = writes.batch_decode(model.generate(**given), skip_special_tokens=True)
    said = [row["translation_text"] for row in hf_attn.predict(run, sources(place))]
    assert said == [one.strip() for one in own] == list(pd.read_parquet(run / "predictions.parquet")["prediction"])


def test_one_text_alone_is_written_as_among_others(run, place):
    together = hf_attn.predict(run, sources(place))
    assert [hf_attn.predict(run, [one])[0] for one in sources(place)[:3]] == together[:3]


def test_the_snippet_of_the_card_runs_and_says_as_we_do(run, place):
    code = re.search(r"```python\n(.*?)```", (run / "README.md").read_text("utf-8"), re.DOTALL).group(1)
    code = code.replace("a text", "my card") + '\nprint([row["translation_text"] for row in predictions], texts)'
    done = interpreter.run(["-c", code], cwd=place, check=True)
    said = [row["translation_text"] for row in hf_attn.predict(run, ["my card"])]
    assert done.stdout.split("\n")[-2].replace("[' ", "['") == f"{said} {said}"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "cannot be loaded from its folder decoder_tokenizer"),
        (lambda folder: train_tokenizer(["Gans", "Ente"], 290).save_pretrained(folder), "has other tokens than"),
    ],
    ids=["missing", "another"],
)
def test_a_missing_or_wrong_tokenizer_is_one_line_and_status_2(copy, spoil, message):
    spoil(copy / FOLDER)
    for command in (["predict", copy, "my card"], ["explain", copy, "my card"]):
        done = interpreter.run(["-m", "hf_attn.cli", *command], {**os.environ, "HF_HUB_OFFLINE": "1"})
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 2 and "Traceback" not in done.stderr and not done.stdout
        assert lines[-1].startswith("error: ") and message in lines[-1]
    with pytest.raises(InputError, match=message):
        data, new = (str(copy.parent / name) for name in ("data", "new"))
        save_words(copy.parent / "data")
        translation.main(["--model", str(copy), "--dataset", data, "--output_dir", new])
    assert not (copy.parent / "new/model.safetensors").exists()


def test_a_model_in_hand_takes_no_encoders_tokenizer_alone(run):
    model = hf_attn.load(run)
    with pytest.raises(InputError, match="has none beside it: leave processor out, or give hf_attn.models.load"):
        hf_attn.predict(model, ["my card"], processor=AutoTokenizer.from_pretrained(run))
    given = load_tokenizer(run)
    assert hf_attn.predict(model, ["my card"], processor=given) == hf_attn.predict(model, ["my card"])
    setattr(given, FOLDER, train_tokenizer(["Gans", "Ente"], 290))
    with pytest.raises(InputError, match="has that of another model beside it"):
        hf_attn.predict(model, ["my card"], processor=given)


def test_a_run_that_stopped_ends_as_if_it_had_not(place, tmp_path):
    options = ["--schedule", "constant", "--warmup", "0", "--eval_every", "0.2"]
    for run, steps in (("whole", (40,)), ("parts", (20, 40))):
        for number, count in enumerate(steps):
            again = ["--resume"] * (number > 0)
            translation.main(arguments(place, tmp_path / run, *options, "--max_steps", str(count), *again))
    whole, parts = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_a_run_is_trained_further_and_replaced_with_its_tokenizers(copy, place):
    before = digest_of(copy / FOLDER)
    more = place / "more"
    argv = arguments(place, more, "--max_steps", "2", "--model", str(copy))
    translation.main([word for word in argv if word not in ("--decoder", str(place / "decoder.yaml"))])
    assert digest_of(more / FOLDER) == before
    assert hf_attn.predict(more, ["my card"])[0]["translation_text"]
    alone = arguments(
        place, more, "--max_steps", "2", "--decoder", str(place / "bert"), "--overwrite", "--max_target_length", "40"
    )
    translation.main(alone)
    assert not list((more / FOLDER).glob("*"))


def digest_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_both_tokenizers_go_to_the_hub(run):
    files = hub.files_to_push(run)
    assert {"tokenizer.json", f"{FOLDER}/tokenizer.json", f"{FOLDER}/tokenizer_config.json"} <= set(files)
    hub.refuse_secrets(run, files, "hf_none")


def test_words_are_explained_and_aligned_in_both_languages(run):
    (said,) = hf_attn.predict(run, ["swallowed card"])
    command = ["explain", run, "swallowed card", "--target", said["translation_text"], "--method", "occlusion"]
    done = interpreter.run(["-m", "hf_attn.cli", *command], check=True)
    assert "Übel" in done.stdout and "swallowed" in done.stdout
    seen = text.align(hf_attn.load(run), load_tokenizer(run), "swallowed card", "Übel Straße")
    assert (list(seen.sources), list(seen.written)) == (["swallowed", "card"], ["Übel", "Straße"])


def test_a_pretrained_decoder_brings_its_tokenizer_and_learns_to_end(place, tmp_path):
    tokenizer = train_tokenizer(GERMAN.values(), 290)
    tokenizer.backend_tokenizer.post_processor = None
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    own = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=40))
    own.save_pretrained(tmp_path)
    with paired_checkpoint(str(place / "bert"), str(tmp_path)) as folder:
        model, writes = AutoModelForSeq2SeqLM.from_pretrained(folder), load_tokenizer(folder).decoder_tokenizer
    assert all(torch.equal(value, model.decoder.state_dict()[name]) for name, value in own.state_dict().items())
    ids = writes("Übel")["input_ids"]
    assert ids[-1] == writes.eos_token_id == model.config.eos_token_id and writes.pad_token is not None
    assert writes.get_vocab() == tokenizer.get_vocab()
