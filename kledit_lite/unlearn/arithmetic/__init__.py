"""Model state arithmetic: on parameters in memory, on checkpoint files and on adapters."""
