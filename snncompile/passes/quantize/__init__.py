"""From populations in real numbers to populations in integers whose ranges are proved."""
