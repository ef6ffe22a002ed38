"""The documentation's snippets, executed."""
