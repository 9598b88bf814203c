"""Families of searched networks: each builds graphs from the notation of its papers, and knows their published nets."""
