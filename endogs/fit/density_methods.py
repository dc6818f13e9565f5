"""Methods of density control by name. No torch here.

A new one is a file with a class like `ResidualInsertion`, and a line here.
"""

METHODS: dict[str, str] = {
    "residual": "endogs.fit.density.residual:ResidualInsertion",
    "none": "endogs.fit.density.control:Unchanged",
}
"""Where each class is, in the order of the command's help."""
