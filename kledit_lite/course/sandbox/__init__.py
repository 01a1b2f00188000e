"""A student's cells in a process of their own, whose answers come back as plain data.

    session.py   starts the process, runs the cells, calls the functions, ends what does not end
    worker.py    that process: the only place where a student's code is executed
    fence.py     what it may not do: other folders, a network, other processes, much memory
    values.py    what may pass between the two

The checks stay on this side: they see what a function returns and never share a process with it.
"""
