"""How the second edition of the shipped models is trained, one file per model.

No user imports these. Each runs as ``python -m kledit_lite.zoo.recipes.NAME WORK``, keeps its
pictures and checkpoints in the folder WORK, and resumes from them when it is killed.
"""
