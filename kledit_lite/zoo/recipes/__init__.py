"""How the models of the zoo are trained: ``kledit zoo train NAME``. No user imports this.

`run` names the recipe of every model. A recipe keeps its pictures and checkpoints in a folder and
resumes from them when it is killed.
"""
