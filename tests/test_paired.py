"""An encoder-decoder of two models: what is taken of each, that it learns and comes back, what cannot be paired."""

import json

import pytest
import torch
from tiny_bert import WORDS, save_tiny_bert
from tiny_translators import save_tiny_translator
from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer

import hf_attn
from hf_attn.errors import InputError
from hf_attn.models.paired import check_pair, paired_checkpoint
from hf_attn.models.source import ScratchOptions
from hf_attn.recipes import translation

SIZES = (
    "hidden_size: 32\nnum_hidden_layers: 1\nnum_attention_heads: 4\nintermediate_size: 48\ninitializer_range: 0.18\n"
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return str(save_tiny_bert(tmp_path_factory.mktemp("paired") / "bert"))


def file(folder, text=f"model_type: bert\n{SIZES}"):
    path = folder / "decoder.yaml"
    path.write_text(text)
    return str(path)


def first_words(folder, count=600):
    """Texts of known words, and the first of them to write."""
    random = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(count):
        chosen = [
            WORDS[at] for at in torch.randint(0, 8, (int(torch.randint(2, 4, (), generator=random)),), generator=random)
        ]
        rows.append({"source": " ".join(chosen), "target": chosen[0]})
    folder.mkdir(exist_ok=True)
    for split, some in (("train", rows[24:]), ("validation", rows[:12]), ("test", rows[12:24])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return folder


def test_the_encoder_is_the_pretrained_one_and_the_new_decoder_the_same_each_time(bert, tmp_path):
    decoders = []
    for seed in (1, 1, 2):
        with paired_checkpoint(bert, file(tmp_path), seed) as folder:
            model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        decoders.append(torch.cat([weight.flatten() for weight in model.decoder.parameters()]))
        assert tokenizer.get_vocab() == AutoTokenizer.from_pretrained(bert).get_vocab()
    for name, weight in AutoModel.from_pretrained(bert).state_dict().items():
        assert torch.equal(weight, model.encoder.state_dict()[name]), name
    assert torch.equal(decoders[0], decoders[1]) and not torch.equal(decoders[0], decoders[2])


def test_a_pretrained_decoder_keeps_its_weights_and_reads_the_encoder(bert):
    with paired_checkpoint(bert, bert) as folder:
        model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    own = AutoModel.from_pretrained(bert).state_dict()
    taken = {name: weight for name, weight in own.items() if "pooler" not in name}
    assert all(torch.equal(weight, model.decoder.state_dict()[f"bert.{name}"]) for name, weight in taken.items())
    given = tokenizer(["my card", "the machine"], return_tensors="pt")
    logits = model(**given, decoder_input_ids=torch.tensor([[2, 5]] * 2)).logits
    assert not torch.allclose(logits[0], logits[1])


def test_a_pair_learns_writes_and_is_loaded_like_any_run(bert, tmp_path):
    argv = ["--model", bert, "--decoder", file(tmp_path), "--dataset", str(first_words(tmp_path / "data"))]
    argv += ["--output_dir", str(tmp_path / "run"), "--epochs", "4", "--lr", "3e-3", "--batch_size", "8"]
    argv += ["--attention", "entmax15", "--attention_include", "crossattention", "--max_new_tokens", "8"]
    argv += ["--max_target_length", "64", "--eval_generated", "0"]  # 64 is beyond the positions of the encoder
    scores = translation.main(argv)
    assert scores["loss"] < 0.5, scores  # (log 8) / 3 blind to the source, with the two other tokens sure
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "run")
    assert "entmax15" in json.dumps(model.config.to_dict(), default=str)
    said = hf_attn.predict(str(tmp_path / "run"), ["my card was"])[0]["translation_text"]
    rows = (tmp_path / "run" / "README.md").read_text()
    assert said and "with a decoder, decoder.yaml, fine-tuned" in rows and str(tmp_path) not in rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"model_type: bert\nvocab_size: 99\n{SIZES}",
            "--decoder .*vocab_size is 99: the bytes and special tokens alone",
        ),
        (
            "model_type: llama\nhidden_size: 32\n",
            "'llama' cannot be asked to attend to an encoder; bert",
        ),
        ("model_type: bert\nhidden_size: 30\nnum_attention_heads: 4\n", "cannot be paired: .*not a multiple"),
        ("model_type: bart\n", "'bart' cannot be asked"),
        ("hidden_size: 32\n", "--decoder .*expected lines such as 'model_type"),
        ("model_type: brt\n", "--decoder .*no model_type 'brt'"),
    ],
)
def test_a_file_that_is_no_decoder_is_one_line(bert, tmp_path, text, message):
    with pytest.raises(InputError, match=message) as told, paired_checkpoint(bert, file(tmp_path, text)):
        pass
    assert "\n" not in str(told.value)


def test_models_that_are_no_pair_are_refused_before_anything_is_read(bert, tmp_path):
    translator = str(save_tiny_translator(tmp_path / "translator"))
    with pytest.raises(InputError, match="and .*translator is one: leave --decoder out"):
        check_pair(translator, bert)
    with pytest.raises(InputError, match="nowhere"):
        check_pair(bert, "nowhere/at/all")
    with pytest.raises(InputError, match="none.yaml cannot be read"):
        check_pair(bert, "none.yaml")
    with pytest.raises(InputError, match="'mbart' cannot be asked to attend"), paired_checkpoint(bert, translator):
        pass
    assert "makes encoder and decoder" in ScratchOptions(from_scratch="a.yaml", decoder="b").problems()[0]


def test_the_configuration_names_the_tokens_that_texts_start_and_end_with(bert, tmp_path):
    with paired_checkpoint(bert, file(tmp_path)) as folder:
        config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = config.decoder_start_token_id, config.eos_token_id, config.pad_token_id
    assert found == (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
