"""Damaged files of every kind that is read: sound files, ways to damage them, and what reads them."""
