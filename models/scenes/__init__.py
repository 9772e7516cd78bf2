"""Networks for the scenes, in the architecture families that the papers on universal perturbations attack."""
