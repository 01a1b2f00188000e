"""How the models of the zoo are trained. No user imports this.

`run` trains what ships, by `kledit zoo train NAME`: by the recipes in `first`, and by those here
of models of which there is one edition. The second edition of clip-tiny, paint-tiny and judge-tiny,
the stern reader, the encoders of `vision`, reader-tiny and docent-tiny are trained by
``python -m kledit_lite.zoo.recipes.NAME WORK``.
Every recipe keeps its pictures and checkpoints in the folder WORK and resumes from them when it is
killed.
"""
