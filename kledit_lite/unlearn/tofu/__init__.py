"""TOFU: questions about authors to forget, and the measures of forgetting."""
