"""Results out: lines, files, tables, aggregates, comparisons."""
