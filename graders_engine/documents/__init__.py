"""JSON or YAML that people type, to JSON values; and where each value stands in the text."""
