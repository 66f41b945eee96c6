"""The confined program: run as a file by the image's interpreter; standard library only."""
