"""Models over HTTP: which there are, their answers, and the permissions of other projects to ask them."""
