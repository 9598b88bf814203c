"""Searching for networks that fit hardware: scores of untrained networks, and what candidates take of memory."""
