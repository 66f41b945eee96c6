"""The forms in which models' outputs are stored, read as samples; and rows that hold them."""
