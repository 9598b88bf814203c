"""What a network costs on a target: activity, counted or assumed, times named constants."""
