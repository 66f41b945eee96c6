"""From rows to results: workers, resuming, retrying."""
