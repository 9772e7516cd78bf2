"""Forecast what a run costs on a device: measure the costs of a few images, and add up those of all."""
