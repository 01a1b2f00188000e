"""Answers to the functions of the graded assignments, as a student writes them: right and wrong."""

from __future__ import annotations

RIGHT: dict[str, list[str]] = {
    "alignment-b": [
        "lambda t, p: 1 - ((t - p) ** 2).mean(0) / t.var(0)",
        "lambda t, p: [1 - sum((a - b) ** 2) / sum((a - a.mean()) ** 2) for a, b in zip(t.T, p.T)]",
    ],
    "vit-components-a": [
        "lambda p, w, g, e: g * (p - p.mean(1, keepdims=True)) / "
        "np.sqrt(w.var(1, keepdims=True) + e)",
        "lambda p, w, g, e: np.stack([g * (a - a.mean()) / (b.var() + e) ** 0.5 "
        "for a, b in zip(p, w)])",
    ],
    "failure-modes-b": [
        "lambda a, t, s: all(a[t - {x}] - a[t] >= s for x in t)",
        "lambda a, t, s: not [x for x in t if a[t - {x}] < a[t] + s]",
    ],
    "vit-components-d": [
        "lambda p, o, w: int((scores(p, w) - scores(p, o)).argmax())",
        "lambda p, o, w: (scores(p, w)[:] > 0.5).nonzero()[0]"
        "[scores(p, o)[scores(p, w) > 0.5].argmin()]",
    ],
    "causal-tracing-b": [
        "lambda s, f: min(s.mean(0)[f.all(0)], default=float('inf'))",
        "lambda s, f: np.where(f.all(axis=0), s.mean(axis=0), np.inf).min()",
    ],
    "locogen-b": [
        "lambda s, a: s.mean(1).argmax() if a == 'fact' else s.mean(1).argmin()",
        "lambda s, a: np.argsort(s.sum(1))[-1 if a == 'fact' else 0]",
    ],
    "closed-form-editing-a": [
        "lambda w, x, y, s: w @ (y.T @ x + s * np.eye(x.shape[1])) "
        "@ np.linalg.inv(x.T @ x + s * np.eye(x.shape[1]))",
        "lambda w, x, y, s: w + w @ (y - x).T @ x @ np.linalg.inv(x.T @ x + s * np.eye(len(x.T)))",
    ],
    "neuron-editing-a": [
        "lambda x, y: abs(x.mean(0) - y.mean(0)) / "
        "(x.var(0, ddof=1) / len(x) + y.var(0, ddof=1) / len(y)) ** 0.5",
        "lambda x, y: [abs(a.mean() - b.mean()) / np.hypot(np.std(a, ddof=1) / len(a) ** 0.5, "
        "np.std(b, ddof=1) / len(b) ** 0.5) for a, b in zip(x.T, y.T)]",
    ],
    "restor-b": [
        "lambda a, b, c, s: (lambda m: (c[m].mean(), (~c & ~s)[m].mean(), (~c & s)[m].mean()))"
        "(a & ~b)",
        "lambda a, b, c, s: np.array([sum(k[a & ~b]) for k in (c, ~c & ~s, ~c & s)]) / sum(a & ~b)",
    ],
    "restor-c": [
        "lambda p, q, b: np.log1p(np.exp(b * (p - q).sum(1))).mean() * 2 / b",
        "lambda p, q, b: np.mean([2 / b * np.logaddexp(0, b * (x.sum() - y.sum())) "
        "for x, y in zip(p, q)])",
    ],
    "model-state-arithmetic-a": [
        "lambda d, b, f, r, x, y: d - x * (f - b) + y * (r - b)",
        "lambda d, b, f, r, x, y: [i - x * k + x * j + y * m - y * j "
        "for i, j, k, m in zip(d, b, f, r)]",
    ],
    "model-state-arithmetic-b": [
        "lambda p, w: np.exp(p - w.mean(1))",
        "lambda p, w: np.prod(np.exp(-w), axis=1) ** (1 / w.shape[1]) / np.exp(-p)",
    ],
}

WRONG: dict[str, list[str]] = {
    "alignment-b": [
        "lambda t, p: ((t - p) ** 2).mean(0) / t.var(0)",
        "lambda t, p: 1 - ((t - p) ** 2).mean(0) / t.var()",
        "lambda t, p: 1 - ((t - p) ** 2).mean(0) / p.var(0)",
        "lambda t, p: 1 - ((t - p) ** 2).sum(0) / (t**2).sum(0)",
        "lambda t, p: 1 - ((t - p) ** 2).sum(1) / ((t - t.mean(0)) ** 2).sum(1)",
        "lambda t, p: np.ones(t.shape[1])",
    ],
    "vit-components-a": [
        "lambda p, w, g, e: g * (p - p.mean(1, keepdims=True)) / "
        "np.sqrt(p.var(1, keepdims=True) + e)",
        "lambda p, w, g, e: (p - p.mean(1, keepdims=True)) / np.sqrt(w.var(1, keepdims=True) + e)",
        "lambda p, w, g, e: g * p / np.sqrt(w.var(1, keepdims=True) + e)",
        "lambda p, w, g, e: g * (p - p.mean(1, keepdims=True)) / (w.var(1, keepdims=True) + e)",
        "lambda p, w, g, e: g * (p - p.mean(0)) / np.sqrt(w.var(0) + e)",
        "lambda p, w, g, e: p",
    ],
    "failure-modes-b": [
        "lambda a, t, s: any(a[t - {x}] >= a[t] + s for x in t)",
        "lambda a, t, s: all(a[t - {x}] > a[t] + s for x in t)",
        "lambda a, t, s: all(a[t - {x}] >= a[t] for x in t)",
        "lambda a, t, s: a[frozenset()] >= a[t] + s",
        "lambda a, t, s: True",
        "lambda a, t, s: 1",
    ],
    "vit-components-d": [
        "lambda p, o, w: int(scores(p, w).argmax()) if len(p) % 2 else 0",
        "lambda p, o, w: int(scores(p, o).argmax())",
        "lambda p, o, w: int((scores(p, w) + scores(p, o)).argmax())",
        "lambda p, o, w: int((scores(p, o) - scores(p, w)).argmax())",
        "lambda p, o, w: 0",
        "lambda p, o, w: len(p)",
    ],
    "causal-tracing-b": [
        "lambda s, f: min(s.mean(0)[f.any(0)], default=float('inf'))",
        "lambda s, f: max(s.mean(0)[f.all(0)], default=float('inf'))",
        "lambda s, f: s.mean(0)[f.all(0)].min()",
        "lambda s, f: s.mean(0).min()",
        "lambda s, f: s[:, f.all(0)].min() if f.all(0).any() else float('inf')",
        "lambda s, f: float('inf')",
    ],
    "locogen-b": [
        "lambda s, a: s.mean(1).argmin()",
        "lambda s, a: s.mean(1).argmax()",
        "lambda s, a: s.mean(0).argmax() if a == 'fact' else s.mean(0).argmin()",
        "lambda s, a: s.max(1).argmax() if a == 'fact' else s.min(1).argmin()",
        "lambda s, a: 1 + (s.mean(1).argmax() if a == 'fact' else s.mean(1).argmin())",
    ],
    "closed-form-editing-a": [
        "lambda w, x, y, s: w @ y.T @ x @ np.linalg.inv(x.T @ x + s * np.eye(x.shape[1]))",
        "lambda w, x, y, s: w",
        "lambda w, x, y, s: w @ (x.T @ y + s * np.eye(x.shape[1])) "
        "@ np.linalg.inv(y.T @ y + s * np.eye(x.shape[1]))",
        "lambda w, x, y, s: w @ (y - x).T @ x @ np.linalg.inv(x.T @ x + s * np.eye(len(x.T)))",
        "lambda w, x, y, s: (w @ (y.T @ x + s * np.eye(x.shape[1]))).T",
        "lambda w, x, y, s: w @ (y.T @ x + np.eye(x.shape[1])) "
        "@ np.linalg.inv(x.T @ x + np.eye(x.shape[1]))",
    ],
    "neuron-editing-a": [
        "lambda x, y: abs(x.mean(0) - y.mean(0))",
        "lambda x, y: (x.mean(0) - y.mean(0)) / "
        "(x.var(0, ddof=1) / len(x) + y.var(0, ddof=1) / len(y)) ** 0.5",
        "lambda x, y: abs(x.mean(0) - y.mean(0)) / (x.var(0) / len(x) + y.var(0) / len(y)) ** 0.5",
        "lambda x, y: abs(x.mean(0) - y.mean(0)) / (x.var(0, ddof=1) + y.var(0, ddof=1)) ** 0.5",
        "lambda x, y: abs(x.mean(0) - y.mean(0)) / "
        "(x.var(0, ddof=1) / len(x) + y.var(0, ddof=1) / len(y))",
    ],
    "restor-b": [
        "lambda a, b, c, s: ((a & ~b & c).mean(), (a & ~b & ~c & ~s).mean(), "
        "(a & ~b & ~c & s).mean())",
        "lambda a, b, c, s: (c[~b].mean(), (~c & ~s)[~b].mean(), (~c & s)[~b].mean())",
        "lambda a, b, c, s: (c[a].mean(), (~c & ~s)[a].mean(), (~c & s)[a].mean())",
        "lambda a, b, c, s: (c[a & ~b].mean(), (~c & s)[a & ~b].mean(), (~c & ~s)[a & ~b].mean())",
        "lambda a, b, c, s: (1, 0, 0)",
    ],
    "restor-c": [
        "lambda p, q, b: np.log1p(np.exp(b * (p - q).mean(1))).mean() * 2 / b",
        "lambda p, q, b: np.log1p(np.exp(b * (p - q))).mean() * 2 / b",
        "lambda p, q, b: np.log1p(np.exp(b * (q - p).sum(1))).mean() * 2 / b",
        "lambda p, q, b: np.log1p(np.exp(b * (p - q).sum(1))).mean()",
        "lambda p, q, b: np.log1p(np.exp(b * (p - q).sum(1))).sum() * 2 / b",
    ],
    "model-state-arithmetic-a": [
        "lambda d, b, f, r, x, y: d + x * (f - b) - y * (r - b)",
        "lambda d, b, f, r, x, y: d - x * (f - d) + y * (r - d)",
        "lambda d, b, f, r, x, y: b - x * (f - b) + y * (r - b)",
        "lambda d, b, f, r, x, y: d - y * (f - b) + x * (r - b)",
        "lambda d, b, f, r, x, y: d - (f - b) + (r - b)",
    ],
    "model-state-arithmetic-b": [
        "lambda p, w: np.exp(w.mean(1) - p)",
        "lambda p, w: np.exp(-w).mean(1) / np.exp(-p)",
        "lambda p, w: w.mean(1) / p",
        "lambda p, w: p - w.mean(1)",
        "lambda p, w: np.exp(p - w.sum(1))",
    ],
}
