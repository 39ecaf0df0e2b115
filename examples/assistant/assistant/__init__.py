"""Answers questions over a small knowledge base, with citations."""
