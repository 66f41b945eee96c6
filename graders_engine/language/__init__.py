"""The two small languages of graders, templates and formulas; pure functions."""
