"""Web page on which the rows of runs are read, filtered and compared."""
