"""Cross-model alignment and text-to-concept: read any encoder in words.

Fit an affine map from an encoder's features to CLIP's, then compare images with concepts
described as text (prospectus, sections 3.2-3.5):

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> aligner = fit_aligner(x, x @ np.eye(3, 2))
    >>> bank = ConceptBank(("first", "second"), np.eye(2))
    >>> zero_shot(aligner(np.array([[0.0, 1.0, 0.0]])), bank).tolist()
    [1]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kledit_lite.align.affine import AffineMap
from kledit_lite.align.attributes import AttributeReport, attribute_auroc, bootstrap_auroc
from kledit_lite.align.concepts import (
    TEMPLATES,
    ConceptBank,
    asked_once,
    concept_vector,
    fill_templates,
    rank_classes,
    top_images,
    zero_shot,
    zero_shot_accuracy,
)
from kledit_lite.align.contrast import CONTRASTS, class_patterns, class_vectors, contrast_text
from kledit_lite.align.drift import concept_drift, presence, presence_drift, split_half_threshold
from kledit_lite.align.evaluate import (
    R2,
    accuracy,
    aligned_accuracy,
    chance_level,
    head_predict,
    r2,
    retained_accuracy,
    retained_ratio,
    sample_efficiency,
    weakest_target,
)
from kledit_lite.align.linear import StreamingAligner, fit_aligner
from kledit_lite.align.logic import (
    Query,
    Retrieval,
    composite_ranking,
    guarded_ranking,
    parse,
    precision_at,
    retrieve,
)
from kledit_lite.align.pairs import best_source, group_matrix, measurable, pair_matrix, pair_table
from kledit_lite.align.principal import PrincipalAlignment, principal_alignment
from kledit_lite.align.sgd import fit_aligner_sgd
from kledit_lite.align.study import (
    Pictures,
    choose_ridge,
    encode,
    load_pictures,
    probe,
    target_head,
)
from kledit_lite.align.to_text import Decoded, decode_grammar, decode_lm
from kledit_lite.align.translation import Translation, fit_with_validation, translate
from kledit_lite.align.ways import Precisions, compare_ways, relevant
from kledit_lite.zoo.head import LinearHead

if TYPE_CHECKING:
    from kledit_lite.align.bottleneck import ConceptBottleneck, concept_levels, correct_concepts
    from kledit_lite.align.estimator import Aligner

_LATER = {
    "Aligner": "estimator",
    "ConceptBottleneck": "bottleneck",
    "concept_levels": "bottleneck",
    "correct_concepts": "bottleneck",
}


def __getattr__(name: str) -> object:
    """The estimators on first use: scikit-learn takes a second or two to import."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = [
    "CONTRASTS",
    "R2",
    "TEMPLATES",
    "AffineMap",
    "Aligner",
    "AttributeReport",
    "ConceptBank",
    "ConceptBottleneck",
    "Decoded",
    "LinearHead",
    "Pictures",
    "Precisions",
    "PrincipalAlignment",
    "Query",
    "Retrieval",
    "StreamingAligner",
    "Translation",
    "accuracy",
    "aligned_accuracy",
    "asked_once",
    "attribute_auroc",
    "best_source",
    "bootstrap_auroc",
    "chance_level",
    "choose_ridge",
    "class_patterns",
    "class_vectors",
    "compare_ways",
    "composite_ranking",
    "concept_drift",
    "concept_levels",
    "concept_vector",
    "contrast_text",
    "correct_concepts",
    "decode_grammar",
    "decode_lm",
    "encode",
    "fill_templates",
    "fit_aligner",
    "fit_aligner_sgd",
    "fit_with_validation",
    "group_matrix",
    "guarded_ranking",
    "head_predict",
    "load_pictures",
    "measurable",
    "pair_matrix",
    "pair_table",
    "parse",
    "precision_at",
    "presence",
    "presence_drift",
    "principal_alignment",
    "probe",
    "r2",
    "rank_classes",
    "relevant",
    "retained_accuracy",
    "retained_ratio",
    "retrieve",
    "sample_efficiency",
    "split_half_threshold",
    "target_head",
    "top_images",
    "translate",
    "weakest_target",
    "zero_shot",
    "zero_shot_accuracy",
]
