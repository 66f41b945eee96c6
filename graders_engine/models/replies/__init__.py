"""What endpoints answer: the text of a reply, refusals, and errors in an answer with status 200."""
