"""What commands write to a terminal, and how they end."""
