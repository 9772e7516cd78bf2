"""One picture, attacked: what a network says of it, and what defenses are worth there."""
