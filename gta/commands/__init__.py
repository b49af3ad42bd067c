"""One module a command, imported when it is called; `run(arguments)` gives the exit code."""
