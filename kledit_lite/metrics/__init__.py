"""Metrics and shared statistics."""
