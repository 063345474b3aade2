"""The store over HTTP, for scripts: the same calls as the app's and the command line's, and the client of it."""
