"""Where untrusted python runs; knows nothing of graders."""
