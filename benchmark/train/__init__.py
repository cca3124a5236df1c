"""Trains any method under one protocol; names none."""
