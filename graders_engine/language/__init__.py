"""The two small languages graders are written in, templates and formulas; pure."""
