"""The exercises, one module per chapter: `locogen.py` holds those of chapter `locogen`."""
