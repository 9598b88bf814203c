"""What a compilation tells people: figures, steps, drawings, and the HTML page."""
