"""The bodies of requests to the Evals API, checked: evals, changes of them, runs."""
