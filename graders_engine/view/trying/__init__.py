"""Grade some rows with a grader that is being written, and say what changes."""
