"""Noise: how measured values scatter around a law."""
