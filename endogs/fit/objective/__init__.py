"""What a rendering should match: the terms of the loss, and the two ways to evaluate and differentiate them."""
