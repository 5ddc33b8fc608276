"""Small models, created without downloads, whose correct explanation is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import SequenceClassifierOutput

from workbench.tasks.base import tasks

WORDS = [
    "good",
    "bad",
    "the",
    "film",
    "was",
    "a",
    "story",
    "with",
    "actors",
    "and",
    "music",
    "un",
    "##believ",
    "##able",
]
LABELS = ["fresh", "rotten"]


def tokenizer(mask: bool = True) -> PreTrainedTokenizerFast:
    """Return a BERT-like tokenizer of a few words."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(["[MASK]"] if mask else [])]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
        **({"mask_token": "[MASK]"} if mask else {}),
    )


def bert(**changes: Any) -> BertForSequenceClassification:
    """A random BERT with 3 layers and 4 heads. Its weights are large, so that attention is far from uniform."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 32}
    config = BertConfig(vocab_size=40, initializer_range=0.5, **{**sizes, **changes})
    config.id2label = dict(enumerate(LABELS))
    return BertForSequenceClassification(config)


class BagOfWords(PreTrainedModel):
    """Logit of "fresh": 4 for each "good", -1 for each "bad", 0.05 for anything else. No attention."""

    config_class = BertConfig

    def __init__(self, config: BertConfig, words: PreTrainedTokenizerFast) -> None:
        super().__init__(config)
        self.values = torch.nn.Embedding(len(words), 1)
        self.values.weight.data.fill_(0.05)
        self.values.weight.data[words.convert_tokens_to_ids("good")] = 4
        self.values.weight.data[words.convert_tokens_to_ids("bad")] = -1
        self.values.weight.data[words.all_special_ids] = 0
        self.dropout = torch.nn.Dropout(0.5)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.values

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> SequenceClassifierOutput:
        values = self.dropout(self.values(input_ids))[..., 0] * attention_mask
        fresh = values.sum(-1) - 1
        return SequenceClassifierOutput(logits=torch.stack([fresh, torch.zeros_like(fresh)], dim=-1))


def predictor(model: Any, words: PreTrainedTokenizerFast, **task_options: Any) -> Any:
    """Return the attributes of a loaded run that explainers need."""
    entry = tasks.get("text-classification")
    task = entry(entry.Config(**task_options))
    task.labels = list(LABELS)
    return SimpleNamespace(model=model, tokenizer=words, task=task, labels=list(LABELS), max_length=32)


def bag_of_words(mask: bool = True, **task_options: Any) -> Any:
    words = tokenizer(mask)
    config = BertConfig(vocab_size=len(words), hidden_size=1, num_attention_heads=0)
    return predictor(BagOfWords(config, words), words, **task_options)
