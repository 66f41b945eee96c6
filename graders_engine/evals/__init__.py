"""The evals API: what an eval and a run are, their workers, and exports of the hosted ones."""
