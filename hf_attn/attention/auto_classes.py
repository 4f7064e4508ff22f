"""Make the classes of a variant known wherever transformers and PEFT look a model up: by class, name or model type."""

import functools
import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

import transformers
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto import configuration_auto, modeling_auto, tokenization_auto
from transformers.models.auto.auto_factory import _LazyAutoMapping

PREFIX = "hf_attn_"
PROCESSORS = ("tokenization", "image_processing", "video_processing", "feature_extraction", "processing")
PEFT_TABLES = ("peft.utils.constants", "peft.tuners.adaption_prompt.config")
"""Modules of PEFT whose names ``TRANSFORMERS_MODEL…`` are tables by model type."""


class VariantName(str):
    """The name of a variant's class or model type, which equals that of the architecture below it as well.

    transformers and PEFT compare names to choose what an architecture needs: ``model_type == "whisper"`` is long audio
    with time stamps, a pipeline warns of a class whose name it has not heard. As a key of a table it is its own, and
    so it is saved.
    """

    base: str

    def __new__(cls, name: str, base: str) -> "VariantName":
        """Make the name of a variant of what is called ``base``."""
        made = super().__new__(cls, name)
        made.base = base
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or self.base == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def mappings() -> list[_LazyAutoMapping]:
    """Return every table of transformers that gives the model classes of a configuration."""
    return [table for table in vars(modeling_auto).values() if isinstance(table, _LazyAutoMapping)]


@functools.cache
def model_types(config: type[PreTrainedConfig]) -> tuple[str, ...]:
    """Return the model types that transformers has for a configuration, as many as share it."""
    name = config.__name__
    return tuple(t for t, known in configuration_auto.CONFIG_MAPPING_NAMES.items() if known == name)


def classes_of(mapping: _LazyAutoMapping, config: type[PreTrainedConfig]) -> tuple[type, ...]:
    """Return the model classes that a table has for a configuration; the first is the default."""
    types = model_types(config)  # type: ignore[arg-type]
    if config not in mapping._extra_content and not any(name in mapping._model_mapping for name in types):
        return ()  # the table itself would look through all model types to say so
    found: Any = mapping.get(config, ())
    return tuple(found) if isinstance(found, (list, tuple)) else (found,)


def auto_names(config: type[PreTrainedConfig], model: type[PreTrainedModel]) -> list[str]:
    """Return the names of the Auto classes that know a model class for a configuration; that of pretraining last."""
    autos = {name: auto_class for name, auto_class in vars(modeling_auto).items() if name.startswith("Auto")}
    known = [name for name, auto_class in autos.items() if model in classes_of(auto_class._model_mapping, config)]
    return sorted(known, key="AutoModelForPreTraining".__eq__)


def saved_class(config: PreTrainedConfig) -> type[PreTrainedModel] | None:
    """Return the class that a configuration was saved with; None where it names none that is known here."""
    known = [cls for mapping in mappings() for cls in classes_of(mapping, type(config))]
    homes = (sys.modules[type(config).__module__], transformers)
    for name in config.architectures or ():
        named = [getattr(home, name, None) for home in homes]
        for cls in (*(one for one in known if one.__name__ == name), *named):
            if inspect.isclass(cls) and issubclass(cls, PreTrainedModel) and isinstance(config, cls.config_class or ()):
                return cls
    return None


def auto_map(model: PreTrainedModel) -> dict[str, str]:
    """Return what a saved configuration says of a model: which Auto class finds which class in its code."""
    file, config = type(model).__module__.rpartition(".")[2], type(model.config)
    autos = dict.fromkeys(auto_names(config, type(model)), type(model).__name__)
    return {auto_class: f"{file}.{name}" for auto_class, name in {"AutoConfig": config.__name__, **autos}.items()}


def lost_head(model: PreTrainedModel) -> str:
    """Return what is left out of a saved model that ``AutoModel`` loads without its head; empty where nothing is."""
    config = type(model.config)
    whole = saved_class(model.config)
    autos = auto_names(config, whole) if whole else []
    if not whole or "AutoModel" not in auto_names(config, type(model)) or "AutoModel" in autos:
        return ""
    return f"the head of the saved {whole.__name__} is left out; {(autos or [whole.__name__])[0]} loads all of it"


def register_model(
    cls: type[PreTrainedModel],
    base: type[PreTrainedModel],
    config: type[PreTrainedConfig],
    base_config: type[PreTrainedConfig],
) -> None:
    """Let all that finds the model class ``base`` by its configuration find its variant ``cls`` by the variant's."""
    for mapping in mappings():
        if base in (bases := classes_of(mapping, base_config)):  # of several, the saved name decides
            made = {vars(one).get("attn_base"): one for one in (*classes_of(mapping, config), cls)}
            ours = tuple(made[one] for one in bases if one in made)
            mapping.register(config, ours if len(ours) > 1 else cls, exist_ok=True)  # type: ignore[arg-type]


def register_config(cls: type[PreTrainedConfig], base: type[PreTrainedConfig]) -> None:
    """Let all that knows architectures by model type, such as tokenizers, take that of ``cls`` for that of ``base``."""
    ours, theirs = str(cls.model_type), base.model_type
    configuration_auto.SPECIAL_MODEL_TYPE_TO_MODULE_NAME[ours] = configuration_auto.model_type_to_module_name(theirs)
    for file in PROCESSORS:
        module = importlib.import_module(f"transformers.models.auto.{file}_auto")
        for name, table in list(vars(module).items()):
            if name.endswith("MAPPING_NAMES"):
                alias(table, ours, theirs)
            elif isinstance(table, _LazyAutoMapping):
                alias(table._extra_content, cls, base)
                alias(table._reverse_config_mapping, cls.__name__, base.__name__)
    misnamed: set[str] = getattr(tokenization_auto, "MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS", set())
    if theirs in misnamed:
        misnamed.add(ours)
    for name in PEFT_TABLES:
        if name in sys.modules:
            extend_peft(sys.modules[name], theirs)


def alias(table: dict[Any, Any], ours: Any, theirs: Any) -> None:
    """Let a table answer for one key as for another."""
    if theirs in table:
        table.setdefault(ours, table[theirs])


def extend_peft(module: ModuleType, *model_types: str) -> None:
    """Let the tables of a module of PEFT answer for our model types as for those below them.

    Args:
        module: one of :data:`PEFT_TABLES`, imported.
        *model_types: of architectures; none are all that a table has.
    """
    for name, table in vars(module).items():
        if name.startswith("TRANSFORMERS_MODEL") and isinstance(table, dict):
            for theirs in model_types or [key for key in table if not key.startswith(PREFIX)]:
                alias(table, PREFIX + theirs, theirs)
