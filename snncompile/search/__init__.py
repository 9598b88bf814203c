"""Searches: candidates built layer by layer, spaces of them, and screening of a whole space against targets."""
