"""The demonstration: attack one picture, and compare the predictions of a network without and with each defense."""
