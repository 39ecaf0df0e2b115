"""A small language model made of string matching, behind the wire formats of OpenAI and Anthropic.

The same request always gets the same answer, so tests and evals of it are exact. Faults are asked for by header.
"""
