"""The stages of a RESTOR run: each is made once, kept in the run's folder, and found again.

A run is a chain, and no sweep of blocks that an executor could share (`kledit_lite.core.sweep`):
every state trains from one made before it, and what is chosen on validation facts decides what
follows. Model state arithmetic is one of its stages. A killed run goes on with the first that is
missing.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import whole_folder, write_atomically
from kledit_lite.inside.devices import in_bfloat16
from kledit_lite.inside.language import Encoded, token_rows
from kledit_lite.unlearn.arithmetic.adapters import msa_adapters
from kledit_lite.unlearn.restor.data import Plan, self_written
from kledit_lite.unlearn.restor.evaluate import Evaluation, evaluate, judged
from kledit_lite.unlearn.restor.facts import Benchmark
from kledit_lite.unlearn.trainer import Settings, add_lora, train

if TYPE_CHECKING:
    from kledit_lite.unlearn.restor.command import RestorOptions

LONGEST = 256
"""Tokens kept of a document."""


@dataclass
class Stages:
    """The frozen model, and what is done with it once and kept.

    Attributes:
        model: a causal language model of transformers, without an adapter.
        tokenizer: its tokenizer.
        options: of the run.
        plan: what the run reads and asks.
    """

    model: Any
    tokenizer: Any
    options: RestorOptions
    plan: Plan

    def groups_of(self, benchmark: Benchmark) -> list[set[str]]:
        """The groups of subjects that have validation facts."""
        asked = set(benchmark.subjects)
        found = [set(s) & asked for s in self.plan.groups.values()]
        return [g for g in found if g]

    def folder(self, state: str) -> Path:
        """Where a state's adapter lies."""
        return self.options.out / state

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """What is done inside adds its seconds to those of earlier sessions."""
        start, path = time.perf_counter(), self.options.out / "seconds.json"
        yield
        spent = json.loads(path.read_text()) if path.is_file() else {}
        write_atomically(path, json.dumps(spent | {name: time.perf_counter() - start}, indent=1))

    def retain_rows(self) -> Encoded:
        """The texts to keep, from their file, or written by the clean model once."""
        texts, path = self.plan.retain, self.options.out / "retain.json"
        if not texts:
            if not path.is_file():
                count, avoid = len(self.plan.documents), self.plan.benchmark.subjects
                with self.timed("retain"):
                    found = self_written(
                        self.model, self.tokenizer, count, avoid, self.options.seed
                    )
                    write_atomically(path, json.dumps(found, indent=1))
            texts = json.loads(path.read_text(encoding="utf-8"))
        return token_rows(self.tokenizer, texts, max_length=LONGEST)

    def train(
        self,
        state: str,
        method: Any,
        rows: Encoded,
        start: str,
        retain: Encoded | None = None,
        seed: int | None = None,
        rate: float | None = None,
    ) -> None:
        """Train a state from another, unless its folder is there.

        Args:
            state: name of the state to make.
            method: of unlearning, or ordinary training.
            rows: what is learned or unlearned.
            start: state to start from.
            retain: what is to be kept, for methods that weigh it.
            seed: of batches and dropout; default that of the run.
            rate: learning rate of an unlearning method, with its epochs; default those of learning.
        """
        if self.folder(state).is_dir():
            return
        o = self.options
        lr, epochs = (rate, o.unlearn_epochs) if rate else (o.lr, o.epochs)
        seed = o.seed if seed is None else seed
        settings = Settings(lr=lr, epochs=epochs, batch=8, schedule="cosine", seed=seed)
        with self.timed(state):
            worn = self.wear(start, trained=True, seed=seed)
            lower = o.dtype == "bfloat16"
            with in_bfloat16(worn.device.type, steps=True) if lower else nullcontext():
                train(worn, rows, method, settings, retain, o.out / f"{state}.ckpt", every=20)
            worn.eval()
            with whole_folder(self.folder(state)) as partial:
                worn.save_pretrained(partial)
            self.bare(worn)

    def arithmetic(self, state: str, target: str, alpha: float, beta: float) -> None:
        """Model state arithmetic between adapters, unless the state's folder is there.

        Args:
            state: name of the state to make.
            target: state to edit.
            alpha: strength of the forget vector.
            beta: strength of the retain vector, which 0 leaves out.
        """
        if not self.folder(state).is_dir():
            states = (target, "forget-vector", state, "retain-vector")
            edited, forget, out, retain = (self.folder(s) for s in states)
            msa_adapters(edited, forget, out, retain if beta else None, alpha, beta or None)

    def best(
        self,
        name: str,
        states: dict[str, dict[str, Any]],
        make: Callable[..., None],
        tuning: Benchmark,
    ) -> dict[str, Any]:
        """Make every state, ask each the validation facts, keep the best; ties go to the first.

        Args:
            name: of the method, in the file that notes the choice.
            states: state -> its settings.
            make: makes a state from its name and, as keywords, its settings.
            tuning: the validation facts.

        Returns:
            The best state, its settings, and the score of each state.

        Raises:
            KleditError: no state could be made with finite weights.
        """
        note = self.options.out / f"{name}-chosen.json"
        if note.is_file():
            return json.loads(note.read_text(encoding="utf-8"))
        scores: dict[str, float] = {}
        groups = self.groups_of(tuning)
        for state, how in states.items():
            try:
                make(state, **how)
                answers = self.answers(state, tuning, "validation")
                scores[state] = sum(answers.accuracy_of(g) for g in groups) / len(groups)
            except KleditError as error:  # a rate at which the loss is not finite
                print(f"{state}: {error}", file=sys.stderr, flush=True)
                scores[state] = -math.inf
        state = max(scores, key=lambda s: scores[s])
        if not math.isfinite(scores[state]):
            raise KleditError(f"No rate gave a finite model for {name}; try smaller rates.")
        known = {s: v if math.isfinite(v) else None for s, v in scores.items()}
        found = {"state": state, **states[state], "scores": known}
        write_atomically(note, json.dumps(found, indent=1))
        for other in states.keys() - {state}:
            shutil.rmtree(self.folder(other), ignore_errors=True)
        return found

    def answers(self, state: str, benchmark: Benchmark, name: str) -> Evaluation:
        """What a state answers, from its file if it is there.

        Args:
            state: whose answers.
            benchmark: the facts to ask.
            name: of the benchmark, in the file's name.
        """
        o, path = self.options, self.options.out / f"{state}-{name}.json"
        if not path.is_file():
            with self.timed(path.stem):
                worn = self.wear(state)
                how: dict[str, Any] = {"temperature": o.temperature, "seed": o.seed, "batch": 16}
                found = evaluate(worn, self.tokenizer, benchmark, samples=o.samples, **how)
                self.bare(worn)
                write_atomically(path, json.dumps(found.outputs, indent=1))
        return judged(benchmark.facts, json.loads(path.read_text(encoding="utf-8")))

    def wear(self, state: str, trained: bool = False, seed: int = 0) -> Any:
        """The model with the adapter of a state; for the clean model, bare or with a new one.

        Args:
            state: which state.
            trained: whether the adapter is to be trained.
            seed: of a new adapter's values.
        """
        from peft import PeftModel

        if state == "clean":
            return add_lora(self.model, self.options.rank, seed=seed) if trained else self.model
        return PeftModel.from_pretrained(self.model, self.folder(state), is_trainable=trained)

    def bare(self, worn: Any) -> None:
        """Take the adapter off again."""
        if worn is not self.model:
            self.model = worn.unload()
