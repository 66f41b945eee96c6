"""A grader as the files that cloud services take: folders to build an image from."""
