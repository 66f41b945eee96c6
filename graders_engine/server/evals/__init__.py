"""The Evals API over HTTP: evals, their runs, the items of these, and the page of a run's report."""
