"""Every Auto class, table and comparison of transformers that knows an architecture knows its variant."""

import json
import pickle
from types import SimpleNamespace

import pytest
import tiny_models
import torch
import transformers
from transformers import AutoModel, AutoTokenizer, BertTokenizerFast, Trainer, TrainingArguments
from transformers.models.auto import (
    auto_factory,
    feature_extraction_auto,
    image_processing_auto,
    modeling_auto,
    processing_auto,
    tokenization_auto,
    video_processing_auto,
)

from hf_attn.attention import config_class_for, model_class_for, swap_attention
from hf_attn.attention.auto_classes import classes_of

MODELS = [
    ("gpt2", "AutoModelForCausalLM"),
    ("llama", "AutoModelForCausalLM"),
    ("distilbert", "AutoModelForMaskedLM"),
    ("electra", "AutoModelForPreTraining"),
    ("roberta", "AutoModelForQuestionAnswering"),
    ("layoutlm", "AutoModelForDocumentQuestionAnswering"),
    ("bert", "AutoModelForMultipleChoice"),
    ("bert", "AutoModelForNextSentencePrediction"),
    ("bert", "AutoModelForTokenClassification"),
    ("bart", "AutoModelForSeq2SeqLM"),
    ("bart", "AutoModelForSequenceClassification"),
    ("t5", "AutoModelForTextEncoding"),
    ("hubert", "AutoModelForCTC"),
    ("wav2vec2", "AutoModelForAudioClassification"),
    ("unispeech-sat", "AutoModelForAudioFrameClassification"),
    ("wav2vec2-bert", "AutoModelForAudioXVector"),
    ("whisper", "AutoModelForSpeechSeq2Seq"),
    ("yolos", "AutoModelForObjectDetection"),
    ("owlvit", "AutoModelForZeroShotObjectDetection"),
    ("segformer", "AutoModelForSemanticSegmentation"),
    ("siglip", "AutoModelForZeroShotImageClassification"),
    ("deit", "AutoModelForMaskedImageModeling"),
    ("videomae", "AutoModelForVideoClassification"),
    ("kosmos-2.5", "AutoModelForImageTextToText"),
    ("dinov2", "AutoBackbone"),
]
PROCESSORS = {
    "tokenizer": tokenization_auto.TOKENIZER_MAPPING,
    "processor": processing_auto.PROCESSOR_MAPPING,
    "image processor": image_processing_auto.IMAGE_PROCESSOR_MAPPING,
    "feature extractor": feature_extraction_auto.FEATURE_EXTRACTOR_MAPPING,
    "video processor": video_processing_auto.VIDEO_PROCESSOR_MAPPING,
}


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with tiny_models.quiet():
        yield


@pytest.fixture(autouse=True)
def backbones_in_folders(monkeypatch):
    """``AutoBackbone`` takes a folder for the name of a timm model, unless the Hub says otherwise."""
    monkeypatch.setattr(auto_factory, "hf_api", lambda: SimpleNamespace(repo_exists=lambda name: True))


def stock(model_type: str, auto: str) -> torch.nn.Module:
    config = transformers.CONFIG_MAPPING[model_type]
    return tiny_models.tiny_model(model_type, classes_of(getattr(transformers, auto)._model_mapping, config)[0])


@pytest.mark.parametrize(("model_type", "auto"), MODELS, ids=[f"{auto}-{name}" for name, auto in MODELS])
def test_each_auto_class_that_finds_the_base_gives_the_saved_variant(model_type, auto, tmp_path):
    base = stock(model_type, auto)
    model = swap_attention(base, "talking_heads")
    tiny_models.perturb(model)
    inputs = tiny_models.inputs_for(model)
    if "MultipleChoice" in auto:
        inputs = {name: tensor[:, None].repeat(1, 3, 1) for name, tensor in inputs.items()}
    expected = tiny_models.outputs_of(model, inputs)
    model.save_pretrained(tmp_path)
    autos = [
        name
        for name, auto_class in vars(modeling_auto).items()
        if name.startswith("Auto") and type(base) in classes_of(auto_class._model_mapping, type(base.config))
    ]
    assert auto in autos
    assert set(json.loads((tmp_path / "config.json").read_text())["auto_map"]) == {"AutoConfig", *autos}
    for name in autos:
        again, info = getattr(transformers, name).from_pretrained(tmp_path, output_loading_info=True)
        assert type(again) is type(model) and not any(info.values()), name
        torch.testing.assert_close(tiny_models.outputs_of(again, inputs), expected, rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("model_type", "auto"), [("t5", "AutoModelForSeq2SeqLM"), ("distilbert", "AutoModelForMaskedLM")]
)
def test_a_head_that_auto_model_leaves_out_is_told(model_type, auto, tmp_path, caplog):
    swap_attention(stock(model_type, auto), "cosine").save_pretrained(tmp_path / "headed")
    AutoModel.from_pretrained(tmp_path / "headed").save_pretrained(tmp_path / "base")
    lines = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(lines) == 1 and f"{auto} loads all of it" in lines[0]
    caplog.clear()
    for name in (auto, "AutoModel"):
        getattr(transformers, name).from_pretrained(tmp_path / ("base" if name == "AutoModel" else "headed"))
    assert "left out" not in caplog.text


@pytest.mark.parametrize("what", PROCESSORS)
def test_what_prepares_inputs_is_found_by_the_variants_configuration(what):
    table, found = PROCESSORS[what], 0
    for model_type in (
        "bert",
        "t5",
        "gpt2",
        "whisper",
        "wav2vec2",
        "vit",
        "clip",
        "detr",
        "llava",
        "videomae",
        "siglip",
    ):
        base = transformers.CONFIG_MAPPING[model_type]
        ours = config_class_for(base)
        assert (ours in table) == (base in table), model_type
        if base in table:
            assert table[ours] == table[base], model_type
            found += 1
    assert found


def test_a_folder_that_names_no_tokenizer_class_has_its_architectures(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "my", "card"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "tokenizer_class"}))
    swap_attention(stock("bert", "AutoModelForMaskedLM"), "cosine").save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(tokenizer, BertTokenizerFast) and tokenizer("my card")["input_ids"] == [2, 5, 6, 3]


@pytest.mark.parametrize("model_type", ["whisper", "bert", "siglip"])
def test_a_comparison_with_the_name_of_the_base_holds_for_the_variant(model_type):
    base = transformers.CONFIG_MAPPING[model_type]
    name = config_class_for(base)().model_type
    ours = f"hf_attn_{model_type}"
    assert name == model_type and name == ours and not (name != model_type) and name != "gpt2"
    assert name in ("gpt2", model_type) and name in [ours] and model_type in name
    assert {model_type: 1, ours: 2}[name] == 2 and name not in {model_type: 1}  # its own in a table, so never the base
    assert type(pickle.loads(pickle.dumps(name))) is str and json.dumps(name) == f'"{ours}"'
    assert config_class_for(base)().to_dict()["model_type"] == ours
    assert base().model_type != ours


def test_label_smoothing_shifts_the_labels_of_a_causal_variant(tmp_path):
    """``Trainer`` knows by the name of the class that the labels are the next tokens."""
    base = stock("gpt2", "AutoModelForCausalLM")
    model = swap_attention(base, "dot_product")
    ids = tiny_models.inputs_for(model)["input_ids"]
    losses = []
    for one in (base, model, model_class_for(type(base))(model.config)):
        one.load_state_dict(base.state_dict(), strict=False)
        arguments = TrainingArguments(tmp_path, label_smoothing_factor=0.1, use_cpu=True, report_to=[])
        losses.append(Trainer(one.eval(), arguments).compute_loss(one, {"input_ids": ids, "labels": ids}).item())
    log_p = base(ids).logits[:, :-1].double().log_softmax(-1)
    nll = -log_p.gather(-1, ids[:, 1:, None]).mean()
    expected = 0.9 * nll + 0.1 * -log_p.mean()
    assert losses == pytest.approx([expected.item()] * 3, abs=1e-5)
