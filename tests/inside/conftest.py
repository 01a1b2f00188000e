"""Shrunken pipelines of both shapes."""

from pipes import pipe  # noqa: F401
