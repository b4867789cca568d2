"""Commands behind every published figure."""
