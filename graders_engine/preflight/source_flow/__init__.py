"""What a python source does with its row, followed through its syntax tree without running a line of it.

`read.read_json` is called in a process of its own for long sources: everything here imports the standard
library alone.
"""
