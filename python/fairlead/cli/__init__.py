"""The command line: parse, call, print. Data goes to stdout, talk to stderr."""
