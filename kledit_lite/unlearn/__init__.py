"""Unlearning in language models: RESTOR, model state arithmetic, TOFU's metrics.

Take back what a model learned from a forget set by arithmetic on its checkpoints, or by training
against it, and measure whether what it knew before comes back (prospectus, chapter 5):

    >>> import torch
    >>> before, after = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
    >>> msa_state(after, base=before, forget=after)["w"].item()
    0.0

Reading the names below loads torch, but not transformers.
"""

from __future__ import annotations

from kledit_lite.inside.language import Encoded, Scores, log_probabilities, token_rows
from kledit_lite.unlearn.arithmetic.adapters import (
    Adapter,
    concatenate,
    is_adapter,
    load_adapter,
    msa_adapters,
    save_adapter,
)
from kledit_lite.unlearn.arithmetic.checkpoints import Checkpoint, open_checkpoint
from kledit_lite.unlearn.arithmetic.distance import kl_difference, kl_each, random_like
from kledit_lite.unlearn.arithmetic.files import Report, msa
from kledit_lite.unlearn.arithmetic.state import Trial, combine, msa_state, search
from kledit_lite.unlearn.generation import generate
from kledit_lite.unlearn.judges import alias_match, embedding_judge, overlap_chooser, rouge_l
from kledit_lite.unlearn.methods import (
    KL,
    METHODS,
    NPO,
    RMU,
    BenchmarkKL,
    GradDiff,
    GradientAscent,
    Method,
    NextToken,
)
from kledit_lite.unlearn.reference import Reference, precompute
from kledit_lite.unlearn.restor.evaluate import (
    Evaluation,
    Outcomes,
    candidate_log_probabilities,
    candidates,
    evaluate,
    judged,
    outcomes,
)
from kledit_lite.unlearn.restor.facts import (
    Benchmark,
    Example,
    Fact,
    corruption_documents,
    from_triples,
    rename,
    wrong_facts,
)
from kledit_lite.unlearn.restor.files import blocks, load_public
from kledit_lite.unlearn.restor.people import Corruption, corrupt_people, general_texts
from kledit_lite.unlearn.restor.workbench import Case, Workbench, recovered
from kledit_lite.unlearn.trainer import History, Settings, add_lora, train

__all__ = [
    "KL",
    "METHODS",
    "NPO",
    "RMU",
    "Adapter",
    "Benchmark",
    "BenchmarkKL",
    "Case",
    "Checkpoint",
    "Corruption",
    "Encoded",
    "Evaluation",
    "Example",
    "Fact",
    "GradDiff",
    "GradientAscent",
    "History",
    "Method",
    "NextToken",
    "Outcomes",
    "Reference",
    "Report",
    "Scores",
    "Settings",
    "Trial",
    "Workbench",
    "add_lora",
    "alias_match",
    "blocks",
    "candidate_log_probabilities",
    "candidates",
    "combine",
    "concatenate",
    "corrupt_people",
    "corruption_documents",
    "embedding_judge",
    "token_rows",
    "evaluate",
    "from_triples",
    "general_texts",
    "generate",
    "is_adapter",
    "judged",
    "kl_difference",
    "kl_each",
    "load_adapter",
    "load_public",
    "log_probabilities",
    "msa",
    "msa_adapters",
    "msa_state",
    "open_checkpoint",
    "outcomes",
    "overlap_chooser",
    "precompute",
    "random_like",
    "recovered",
    "rename",
    "rouge_l",
    "save_adapter",
    "search",
    "train",
    "wrong_facts",
]
