"""The recipes of the weights that ship today, of which a second edition is being trained."""
