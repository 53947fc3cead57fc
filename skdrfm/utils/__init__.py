"""Helpers that know nothing of finance or networks."""
