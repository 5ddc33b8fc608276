"""The Transformer workbench: build, pretrain, fine-tune, compare and explain Transformers on text."""

__version__ = "0.1.0"
