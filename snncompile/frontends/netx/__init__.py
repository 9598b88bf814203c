"""lava-dl's network exchange files (`.net`): networks that are integers already."""
