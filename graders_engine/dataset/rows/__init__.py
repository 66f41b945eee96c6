"""Data in: read a file of any known form as rows."""
