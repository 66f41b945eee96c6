"""The page: runs in the browser, from a server on this machine."""
