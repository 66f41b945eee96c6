"""Finding rows by what is in their texts."""
