"""Our reward as other frameworks' reward: one file each, imported by nobody here."""
