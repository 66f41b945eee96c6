"""Our reward as the reward of other frameworks: one file each, imported by nothing in this package."""
