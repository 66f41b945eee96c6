"""Who embeds (and judges); knows nothing of graders."""
